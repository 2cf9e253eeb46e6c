"""Each bad input through the door by which it comes: its words to the letter, and nothing harmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input import cases_cli, cases_files, cases_manifests, doors
from tests.bad_input.case import Case
from tests.bad_input.cases_files import GOOD, HEADER
from tests.unit.resources.manifests import BOTH


def _ids(case: Case) -> str:
    return case.id


@pytest.mark.parametrize("case", [*cases_manifests.SECTION.cases, *cases_manifests.RULES.cases], ids=_ids)
def test_a_manifest(case: Case, tmp_path: Path) -> None:
    assert isinstance(case.give, str)
    answer = doors.manifest(tmp_path, case.give)
    assert answer == (1, case.message), answer.message
    assert not (tmp_path / doors.STATE).exists()


@pytest.mark.parametrize("case", cases_files.SECTION.cases, ids=_ids)
def test_a_data_file(case: Case, tmp_path: Path) -> None:
    assert isinstance(case.give, bytes)
    played = doors.data_file(tmp_path, case.give)
    assert played.message == case.message
    if case.give.startswith(f"{HEADER}{GOOD}".encode()):
        assert played.prints == 1


@pytest.mark.parametrize("case", cases_cli.SECTION.cases, ids=_ids)
def test_a_command_line(case: Case, tmp_path: Path) -> None:
    assert isinstance(case.give, tuple)
    answer = doors.christmas(tmp_path, case.give)
    assert answer.message == case.message
    assert answer.code in {1, 2}
    stored = tmp_path / doors.STATE / "manifests"
    assert not stored.exists() or not list(stored.iterdir())


@pytest.mark.parametrize("case", cases_cli.SETTINGS.cases, ids=_ids)
def test_a_settings_file(case: Case, tmp_path: Path) -> None:
    assert isinstance(case.give, bytes | tuple)
    answer = doors.settings_file(tmp_path, case.give)
    assert answer.message == case.message
    assert answer.code > 0
    assert {file.name for file in tmp_path.iterdir()} <= {"settings.json"}


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    """The doors themselves refuse nothing."""
    assert doors.manifest(tmp_path, BOTH).code == 0
    played = doors.data_file(tmp_path, f"{HEADER}{GOOD}".encode())
    assert played == (1, "")
