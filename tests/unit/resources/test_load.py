from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from christmas.resources.load import load
from christmas.resources.problem import ManifestError, Problem
from tests.unit.resources.manifests import BOTH, BROKER, STRATEGY


def problems_of(folder: Path, text: str) -> list[Problem]:
    file = folder / "fleet.yaml"
    file.write_text(text)
    with pytest.raises(ManifestError) as caught:
        load([file])
    return list(caught.value.problems)


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def place_of(text: str, word: str) -> tuple[int, int]:
    """Line and column, from 1, of the first ``word``."""
    before = text[: text.index(word)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def test_a_folder_is_read_whole_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BROKER)
    (tmp_path / "b.yml").write_text(STRATEGY)
    (tmp_path / "notes.txt").write_text("not: [a manifest")
    loaded = load([tmp_path])
    assert [broker.metadata.name for broker in loaded.brokers] == ["paper"]
    assert [strategy.metadata.name for strategy in loaded.strategies] == ["scalper"]
    assert loaded.warnings == ()


def test_the_examples_are_right() -> None:
    loaded = load([Path(__file__).parents[3] / "examples"])
    assert {strategy.metadata.name for strategy in loaded.strategies} >= {"btc-scalper", "btc-rsi-macd-bollinger"}
    assert loaded.warnings == ()


def test_standard_input_and_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(BROKER))
    assert load(["-"]).brokers[0].metadata.name == "paper"
    (tmp_path / "paper.json").write_text(
        json.dumps(
            {
                "apiVersion": "christmas.dev/v1alpha1",
                "kind": "Broker",
                "metadata": {"name": "paper"},
                "spec": {"instruments": [{"symbol": "BTC/USDT", "priceIncrement": "0.1", "lotSize": "1"}]},
            }
        )
    )
    assert load([tmp_path]).brokers[0].spec.instruments[0].symbol == "BTC/USDT"


def test_an_unknown_field_is_named_with_its_place_and_what_was_meant(tmp_path: Path) -> None:
    text = BOTH.replace("timeframe: 5s", "timefrane: 5s")
    problem = only(problems_of(tmp_path, text))
    assert (problem.line, problem.column) == place_of(text, "timefrane")
    assert problem.path == "spec.timefrane"
    assert problem.mend == "did you mean timeframe?"
    assert str(problem).startswith(f"{tmp_path}/fleet.yaml:{problem.line}:{problem.column}: spec.timefrane: ")


def test_all_structural_problems_are_told_at_once(tmp_path: Path) -> None:
    text = (
        BOTH.replace("symbols: [BTC/USDT]", "symbols: [btc]")
        .replace('amount: "1000"', "amount: 1000")
        .replace("timeframe: 5s", "timeframe: soon")
        .replace("  capital:", "  state: Runing\n  capital:")
    )
    found = {problem.path: problem for problem in problems_of(tmp_path, text)}
    assert set(found) == {"spec.symbols[0]", "spec.capital.amount", "spec.timeframe", "spec.state"}
    assert found["spec.capital.amount"].mend.startswith('quote it: "1000"')
    assert found["spec.state"].mend == "did you mean Running?"
    assert (found["spec.symbols[0]"].line, found["spec.symbols[0]"].column) == place_of(text, "btc]")


def test_a_percentage_without_its_sign_is_mended_with_it(tmp_path: Path) -> None:
    text = BOTH + "  exit:\n    minimumProfit: 0.05\n"
    assert only(problems_of(tmp_path, text)).mend.startswith('quote it: "0.05%"')


def test_a_missing_field_is_told_at_its_parent(tmp_path: Path) -> None:
    problem = only(problems_of(tmp_path, BOTH.replace("  brokerRef: {name: paper}\n", "")))
    assert (problem.path, problem.what) == ("spec", "brokerRef is missing")


@pytest.mark.parametrize(
    "written",
    [
        "    entry: rsi(14) < 30 and closs > 3",
        "    entry: 'rsi(14) < 30 and closs > 3'",
        '    entry: "rsi(14) < 30 and closs > 3"',
        "    entry: >\n      rsi(14) < 30\n      and closs > 3",
        "    entry: |\n      rsi(14) < 30\n      and closs > 3",
        "    entry: rsi(14) < 30\n      and closs > 3",
    ],
)
def test_a_rules_column_is_one_of_the_file(tmp_path: Path, written: str) -> None:
    text = BOTH.replace("    entry: rsi(14) < 30", written)
    problem = only(problems_of(tmp_path, text))
    assert (problem.line, problem.column) == place_of(text, "closs")
    assert problem.path == "spec.rules.entry"
    assert "close" in problem.mend


def test_broken_yaml_and_repeated_keys_have_places(tmp_path: Path) -> None:
    broken = only(problems_of(tmp_path, BROKER + "\tspec: 1\n"))
    assert broken.line == BROKER.count("\n") + 1
    twice = only(problems_of(tmp_path, BOTH.replace("  timeframe: 5s\n", "  timeframe: 5s\n  timeframe: 1s\n")))
    assert twice.what == "written twice"
    assert "the first is in line" in twice.mend


def test_unknown_kinds_versions_and_empty_folders(tmp_path: Path) -> None:
    assert only(problems_of(tmp_path, BROKER.replace("kind: Broker", "kind: Brokr"))).mend == "did you mean Broker?"
    assert "v1alpha1" in only(problems_of(tmp_path, BROKER.replace("v1alpha1", "v2"))).mend
    assert only(problems_of(tmp_path, "")).what == "no manifest here"


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    problem = only(problems_of(tmp_path, f"{BOTH}---\n{STRATEGY}"))
    assert "two of Strategy scalper" in problem.what
    assert f":{place_of(BOTH, 'name: scalper')[0]};" in problem.mend


def test_a_broker_may_be_known_already(tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").write_text(BROKER)
    known = load([tmp_path / "broker.yaml"]).resources
    (tmp_path / "strategy.yaml").write_text(STRATEGY)
    assert load([tmp_path / "strategy.yaml"], known=known).strategies[0].metadata.name == "scalper"


def test_code_is_taken_from_its_file_and_checked_without_running_it(tmp_path: Path) -> None:
    text = BOTH.replace("  rules:\n    entry: rsi(14) < 30\n", "  code: {file: mine.py, class: Mine}\n")
    (tmp_path / "mine.py").write_text("raise SystemExit\nclass Mine: pass\n")
    (tmp_path / "fleet.yaml").write_text(text)
    code = load([tmp_path / "fleet.yaml"]).strategies[0].spec.code
    assert code is not None
    assert code.file is None
    assert code.source == "raise SystemExit\nclass Mine: pass\n"
    (tmp_path / "mine.py").write_text("class Mime: pass")
    assert only(problems_of(tmp_path, text)).mend == "did you mean Mime?"
    (tmp_path / "mine.py").write_text("class Mine\n")
    assert "not Python" in only(problems_of(tmp_path, text)).what
    (tmp_path / "mine.py").unlink()
    assert any("cannot be read" in problem.what for problem in problems_of(tmp_path, text))


def test_replay_files_are_found_beside_the_manifest(tmp_path: Path) -> None:
    text = BROKER + "  feed:\n    replay: {files: [ticks.csv]}\n"
    assert "there is no file" in only(problems_of(tmp_path, text)).what
    (tmp_path / "ticks.csv").touch()
    replay = load([tmp_path / "fleet.yaml"]).brokers[0].spec.feed.replay
    assert replay is not None
    assert replay.files == (str(tmp_path / "ticks.csv"),)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("participation", "participaton", "spec.paper.participaton"),
        ("kind: Broker", "kind: Brokr", "kind"),
        ("v1alpha1\nkind: Broker", "v2\nkind: Broker", "apiVersion"),
    ],
)
def test_a_broker_that_is_there_and_wrong_is_not_missing_too(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    text = f"{BROKER}  paper: {{participation: '50%'}}\n---\n{STRATEGY}"
    assert right in text
    assert only(problems_of(tmp_path, text.replace(right, wrong))).path == said
    misspelt = text.replace(right, wrong).replace("brokerRef: {name: paper}", "brokerRef: {name: papr}")
    missing = [problem for problem in problems_of(tmp_path, misspelt) if "there is no Broker papr" in problem.what]
    assert only(missing).mend == "did you mean paper?"
