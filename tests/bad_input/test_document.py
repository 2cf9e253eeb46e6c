"""docs/bad-input.md is what the cases say."""

from __future__ import annotations

from tests.bad_input.document import PAGE, SECTIONS, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.bad_input.document"


def test_there_are_enough_cases_and_each_has_a_name_and_words() -> None:
    cases = [case for section in SECTIONS for case in section.cases]
    assert len(cases) >= 100
    assert len({case.id for case in cases}) == len(cases)
    assert all(case.message and case.wrong for case in cases)
