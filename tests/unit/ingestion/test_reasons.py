"""Which reason a recorder shows."""

from __future__ import annotations

from christmas.ingestion.reasons import Reasons


def test_the_first_part_that_waits_is_shown_until_none_does() -> None:
    shown: list[str | None] = []
    reasons = Reasons(shown.append)
    schema, ticks = reasons.of("schema"), reasons.of("ticks of paper")
    assert shown[-1] == "schema: starting"
    ticks(None)
    schema("the database does not answer")
    assert shown[-1] == "the database does not answer"
    reasons.forget("schema")
    assert shown[-1] is None
    schema("too late")
    assert shown[-1] is None


def test_a_part_that_begins_anew_is_waited_for_again() -> None:
    shown: list[str | None] = []
    reasons = Reasons(shown.append)
    reasons.of("ticks of paper")(None)
    assert shown[-1] is None
    reasons.of("ticks of paper")
    assert shown[-1] == "ticks of paper: starting"
