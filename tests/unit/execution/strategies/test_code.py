from __future__ import annotations

import textwrap
import traceback
from pathlib import Path

import pytest

from christmas.execution.strategies.base import StrategyError
from christmas.execution.strategies.code import load_class
from christmas.execution.strategies.factory import create_strategy
from tests.unit.execution.strategies.market import run

SCALPER = """
class Scalper(Strategy):
    rsi, bands = RSI(3), BollingerBands(4, 1)
    threshold = 30.0

    def on_bar(self, bar):
        if self.position.is_flat and self.rsi < self.threshold and bar.close < self.bands.lower:
            self.buy()
"""


def refusal(source: str, class_name: str = "Scalper") -> str:
    with pytest.raises(StrategyError) as caught:
        load_class(class_name, source=textwrap.dedent(source))
    return str(caught.value)


def test_the_designs_example_runs_without_imports() -> None:
    strategy = create_strategy(source=SCALPER, class_name="Scalper")
    assert [len(signals) for signals in run(strategy, [100, 101, 100, 101, 100, 101, 90])] == [0, 0, 0, 0, 0, 0, 1]
    assert not strategy.has_exit


def test_imports_work_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from christmas.execution.strategies.api import *\nfrom dataclasses import dataclass\n" + SCALPER)
    assert load_class("Scalper", file=str(file)).__name__ == "Scalper"


def test_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_strategies.py").write_text("from christmas.execution.strategies.api import *\n" + SCALPER)
    monkeypatch.syspath_prepend(tmp_path)
    assert load_class("Scalper", module="my_strategies").__module__ == "my_strategies"
    with pytest.raises(StrategyError, match="module not_there: ModuleNotFoundError"):
        load_class("Scalper", module="not_there")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SCALPER)
    assert load_class("Scalper", file=str(file)).threshold == 30.0  # type: ignore[attr-defined]
    file.write_text(SCALPER.replace("30.0", "25.0"))
    assert load_class("Scalper", file=str(file)).threshold == 25.0  # type: ignore[attr-defined]


def test_a_dataclass_in_the_source_finds_its_module() -> None:
    source = """
    from __future__ import annotations
    from dataclasses import dataclass, field

    @dataclass
    class State:
        seen: list[int] = field(default_factory=list)

    class Scalper(Strategy):
        def on_start(self):
            self.state = State()
    """
    strategy = load_class("Scalper", source=textwrap.dedent(source))()
    run(strategy, [1])


def test_parameters_reach_the_class() -> None:
    strategy = create_strategy(source=SCALPER, class_name="Scalper", parameters={"threshold": 25})
    assert strategy.parameters == {"threshold": 25.0}
    with pytest.raises(StrategyError, match=r"no parameter 'treshold' \(did you mean 'threshold'\?\)"):
        create_strategy(source=SCALPER, class_name="Scalper", parameters={"treshold": 25})


def test_a_syntax_error_names_its_line() -> None:
    message = refusal("class Scalper(Strategy):\n    def on_bar(self, bar)\n        pass\n")
    assert message == "strategy.py, line 2: expected ':': def on_bar(self, bar)"


def test_source_that_python_cannot_take_at_all() -> None:
    assert refusal("x = 1\0").startswith("strategy.py")


def test_an_error_while_it_is_loaded_names_its_line() -> None:
    assert refusal("x = 1\nclass Scalper(Strategy):\n    rsi = RIS(14)\n") == (
        "strategy.py, line 3: NameError: name 'RIS' is not defined"
    )
    assert "line 2: ParameterError: rsi: period must be at least 2" in refusal(
        "class Scalper(Strategy):\n    rsi = RSI(1)\n"
    )
    assert "position would hide the Strategy's own" in refusal("class Scalper(Strategy):\n    position = 1\n")


def test_a_missing_class_names_those_that_there_are() -> None:
    message = refusal(SCALPER, "Scalpr")
    assert message == "strategy.py: there is no class 'Scalpr' (did you mean 'Scalper'?); it defines Scalper"
    assert "it defines no Strategy at all" in refusal("x = 1")


def test_what_is_no_strategy() -> None:
    assert refusal("class Scalper: pass") == ("strategy.py: Scalper is not a Strategy; write: class Scalper(Strategy):")
    assert "Scalper is not a Strategy" in refusal("Scalper = 3")
    assert "Strategy is the base itself" in refusal("x = 1", "Strategy")


def test_init_is_refused_with_what_to_do_instead() -> None:
    message = refusal("class Scalper(Strategy):\n    def __init__(self, period):\n        self.period = period\n")
    assert "defines __init__" in message
    assert "make parameters class attributes and do the set-up in on_start" in message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="cannot be read"):
        load_class("Scalper", file=str(tmp_path / "none.py"))
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StrategyError, match="cannot be read"):
        load_class("Scalper", file=str(tmp_path / "binary.py"))


def test_the_code_comes_from_one_place() -> None:
    for places in ({}, {"source": SCALPER, "module": "x"}):
        with pytest.raises(StrategyError, match="exactly one of file, source and module"):
            load_class("Scalper", **places)


def test_an_error_in_a_hook_shows_the_users_own_line() -> None:
    source = "class Scalper(Strategy):\n    def on_bar(self, bar):\n        self.count += 1\n"
    with pytest.raises(StrategyError) as caught:
        run(create_strategy(source=source, class_name="Scalper"), [1])
    assert str(caught.value).startswith("Scalper.on_bar, line 3: AttributeError: 'Scalper' object has no attribute")
    assert "self.count += 1" in "".join(traceback.format_exception(caught.value))
