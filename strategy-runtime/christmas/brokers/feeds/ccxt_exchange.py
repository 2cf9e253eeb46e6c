"""Load one exchange of ccxt without the hundred others.

``import ccxt.pro.binanceusdm`` first runs the packages' ``__init__``, which import every exchange there is:
119 MiB and 3.7 s, measured with 4.5.90, of which one exchange needs 80 MiB and 0.7 s. So the packages
are put in place by stand-ins that find their contents when asked for them. Should a version of ccxt
not go along with that, it is imported as a whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from christmas.brokers.feeds.error import FeedError

_PACKAGES: Final = {
    "ccxt": "ccxt.base.exchange",
    "ccxt.async_support": "ccxt.async_support.base.exchange",
    "ccxt.pro": "ccxt.async_support.base.exchange",
}
"""Each package, and the module whose ``Exchange`` it offers."""
_logger = logging.getLogger(__name__)


def exchange_class(name: str) -> Any:
    """The class of ``ccxt.pro.<name>``. Raises FeedError when there is none, or no ccxt."""
    folder = _folder()
    if not (folder / "pro" / f"{name}.py").is_file():
        raise FeedError(f"feed.exchange.exchange: ccxt.pro knows no {name!r}; see docs.ccxt.com")
    if "ccxt" not in sys.modules:
        _stand_in(folder)
        try:
            return _class_in(name)
        except Exception:
            _logger.warning("ccxt is imported as a whole", exc_info=True, extra={"exchange": name})
            for module in [each for each in sys.modules if each.partition(".")[0] == "ccxt"]:
                del sys.modules[module]
    return _class_in(name)


def _class_in(name: str) -> Any:
    found = getattr(importlib.import_module(f"ccxt.pro.{name}"), name)
    # A package that was run as a whole calls the class by the module's name.
    loaded = getattr(found, name) if isinstance(found, ModuleType) else found
    loaded().describe()
    return loaded


def _folder() -> Path:
    loaded = sys.modules.get("ccxt")
    spec = None if loaded is not None else importlib.util.find_spec("ccxt")
    places = list(loaded.__path__) if loaded is not None else list((spec and spec.submodule_search_locations) or ())
    if not places:
        raise FeedError("feed.exchange needs ccxt; install christmas[exchange]")
    return Path(places[0])


class _Package(ModuleType):
    """A package whose names are looked for when they are wanted."""

    def __init__(self, name: str, folder: Path, exchange_module: str) -> None:
        super().__init__(name)
        self.__path__ = [str(folder)]
        self.__version__ = "4"
        self._exchange_module = exchange_module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "Exchange":
            return importlib.import_module(self._exchange_module).Exchange
        errors = importlib.import_module("ccxt.base.errors")
        if hasattr(errors, name):
            return getattr(errors, name)
        try:
            module = importlib.import_module(f"{self.__name__}.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(f"{self.__name__} has no {name}") from error
        return getattr(module, name, module)

    def __setattr__(self, name: str, value: Any) -> None:
        """The import system binds a module here; the real package then binds its class over it."""
        if isinstance(value, ModuleType):
            value = value.__dict__.get(name, value)
        super().__setattr__(name, value)


def _stand_in(folder: Path) -> None:
    for name, exchange_module in _PACKAGES.items():
        within = folder.joinpath(*name.split(".")[1:])
        sys.modules[name] = _Package(name, within, exchange_module)
    for name in _PACKAGES:
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, sys.modules[name])
