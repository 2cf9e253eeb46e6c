"""Loads a user's Strategy class from source text, a file or a module, and says precisely what is wrong with it.

The code runs with the rights of this process; what keeps it harmless is that the process has none to give: no
keys, no token, its own pod or process limits.
"""

from __future__ import annotations

import importlib
import linecache
import sys
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final

from christmas.analysis.rules.suggest import did_you_mean
from christmas.execution.strategies import api
from christmas.execution.strategies.base import Strategy, StrategyError, line_in

_SOURCE_NAME: Final = "strategy.py"


def load_class(
    class_name: str, *, file: str | None = None, source: str | None = None, module: str | None = None
) -> type[Strategy]:
    """The class of that name from exactly one of ``file`` (a path), ``source`` and ``module`` (a dotted name).

    Raises StrategyError when the code does not parse or run, or the class is missing or is no Strategy.
    """
    if sum(part is not None for part in (file, source, module)) != 1:
        raise StrategyError("a strategy's code comes from exactly one of file, source and module")
    if source is not None:
        loaded, where = _execute(source, _SOURCE_NAME), _SOURCE_NAME
    elif file is not None:
        loaded, where = _execute(_read(file), file), file
    else:
        loaded, where = _import(str(module)), str(module)
    return _class_of(loaded, class_name, where)


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StrategyError(f"{file}: cannot be read: {error}") from error


@lru_cache(maxsize=32)
def _execute(source: str, filename: str) -> ModuleType:
    """Run the text as a module of its own; the symbols of one Strategy share it, as an import would."""
    digest = sha256(f"{filename}\0{source}".encode()).hexdigest()[:16]
    loaded = ModuleType(f"christmas_strategy_{digest}")
    loaded.__file__ = filename
    vars(loaded).update({name: getattr(api, name) for name in api.__all__})
    try:
        code = compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        text = (error.text or "").strip()
        raise StrategyError(f"{filename}, line {error.lineno}: {error.msg}: {text}") from error
    except ValueError as error:
        raise StrategyError(f"{filename}: {error}") from error
    # Tracebacks show the lines of a source that is in no file.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    sys.modules[loaded.__name__] = loaded
    try:
        exec(code, vars(loaded))  # noqa: S102 - it is the user's own strategy, in its own process
    except Exception as error:
        del sys.modules[loaded.__name__]
        line = line_in(filename, error.__traceback__)
        raise StrategyError(f"{filename}, line {line}: {type(error).__name__}: {error}") from error
    return loaded


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise StrategyError(f"module {module}: {type(error).__name__}: {error}") from error


def _class_of(loaded: ModuleType, class_name: str, where: str) -> type[Strategy]:
    found = vars(loaded).get(class_name)
    if found is None:
        own = [
            name
            for name, value in vars(loaded).items()
            if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
        ]
        known = f"it defines {', '.join(own)}" if own else "it defines no Strategy at all"
        raise StrategyError(f"{where}: there is no class {class_name!r}{did_you_mean(class_name, own)}; {known}")
    if not isinstance(found, type) or not issubclass(found, Strategy):
        raise StrategyError(f"{where}: {class_name} is not a Strategy; write: class {class_name}(Strategy):")
    if found is Strategy:
        raise StrategyError(f"{where}: Strategy is the base itself; name the class that extends it")
    if found.__init__ is not Strategy.__init__:
        raise StrategyError(
            f"{where}: {class_name} defines __init__, which the runtime calls without its arguments; "
            "make parameters class attributes and do the set-up in on_start"
        )
    return found
