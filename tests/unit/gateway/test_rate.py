"""The request budget: never above what the venue allows, fair among strategies, exits first."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.brokers.gateway.rate import FairBudget, Priority

Requests = list[tuple[float, str, Priority]]

requests = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from(["a", "b", "c"]), st.sampled_from(list(Priority))), max_size=150
)


def play(budget: FairBudget, wanted: Requests) -> list[tuple[float, str, Priority]]:
    """Ask at these intervals, and serve everybody; who was served when."""
    served: list[tuple[float, str, Priority]] = []
    now = 0.0
    for delay, strategy, priority in wanted:
        now += delay
        budget.request(strategy, priority)
        served += [(now, ticket.strategy, ticket.priority) for ticket in budget.grants(now)]
    while (at := budget.next_grant_s(now)) is not None:
        now = max(now, at)
        granted = budget.grants(now)
        assert granted, "next_grant_s named a time at which nobody was served"
        served += [(now, ticket.strategy, ticket.priority) for ticket in granted]
    return served


@settings(max_examples=150)
@given(per_minute=st.integers(1, 200), wanted=requests)
def test_no_minute_has_more_requests_than_the_venue_allows(per_minute: int, wanted: Requests) -> None:
    served = play(FairBudget(per_minute, 0.0), wanted)
    assert Counter((strategy, priority) for _, strategy, priority in served) == Counter(
        (strategy, priority) for _, strategy, priority in wanted
    )
    times = [at for at, _, _ in served]
    for index, start in enumerate(times):
        assert sum(1 for at in times[index:] if at - start < 60.0) <= per_minute


@settings(max_examples=100)
@given(per_minute=st.integers(4, 400), floods=st.lists(st.integers(1, 200), min_size=2, max_size=6))
def test_strategies_that_all_wait_are_served_in_turns(per_minute: int, floods: list[int]) -> None:
    """One that floods the account takes nothing from the others."""
    budget = FairBudget(per_minute, 0.0)
    for index, count in enumerate(floods):
        for _ in range(count):
            budget.request(f"s{index}", Priority.ENTRY)
    now, served = 0.0, Counter[str]()
    left = {f"s{index}": count for index, count in enumerate(floods)}
    while all(left.values()):
        at = budget.next_grant_s(now)
        assert at is not None
        now = max(now, at)
        for ticket in budget.grants(now):
            if not all(left.values()):
                break
            served[ticket.strategy] += 1
            left[ticket.strategy] -= 1
            shares = [served[name] for name in left]
            assert max(shares) - min(shares) <= 1


def test_weights_are_shares() -> None:
    budget = FairBudget(60, 0.0)
    for _ in range(100):
        budget.request("light", Priority.ENTRY)
        budget.request("heavy", Priority.ENTRY, weight=3.0)
    now, served = 0.0, Counter[str]()
    while sum(served.values()) < 80:
        now = max(now, budget.next_grant_s(now) or 0.0)
        served.update(ticket.strategy for ticket in budget.grants(now))
    assert 2.5 <= served["heavy"] / served["light"] <= 3.5


def test_a_late_exit_overtakes_waiting_entries_and_finds_a_reserve() -> None:
    budget = FairBudget(40, 0.0)
    for _ in range(50):
        budget.request("greedy", Priority.ENTRY)
    assert len(budget.grants(0.0)) == 8
    exit_ticket = budget.request("greedy", Priority.REDUCES_RISK)
    assert budget.grants(0.0) == [exit_ticket]


def test_after_429_nobody_is_served_until_then() -> None:
    budget = FairBudget(60, 0.0)
    budget.pause(7.5)
    ticket = budget.request("a", Priority.REDUCES_RISK)
    assert budget.grants(7.4) == []
    assert budget.next_grant_s(1.0) == 7.5
    assert budget.grants(7.5) == [ticket]


def test_who_does_not_want_any_more_takes_no_place() -> None:
    budget = FairBudget(4, 0.0)
    first = budget.request("a", Priority.ENTRY)
    assert budget.grants(0.0) == [first]
    gone, stays = budget.request("a", Priority.ENTRY), budget.request("a", Priority.ENTRY)
    budget.withdraw(gone)
    assert budget.waiting == 1
    at = budget.next_grant_s(0.0)
    assert at is not None
    assert budget.grants(at) == [stays]
    assert budget.next_grant_s(at) is None
