"""What is done to a cluster during a soak: a pure function of a seed.

The plan knows what it has asked for, and asks nothing of what has become of it: it can be made without a cluster.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["idle", "rules", "eager", "holder"]
"""idle never trades; rules trade now and then; eager always; holder has one position and offers it for far too much."""
UpdatePolicy = Literal["WhenFlat", "Immediate", "Manual"]
OnSuspend = Literal["CancelOrders", "KeepOrders", "Flatten"]
State = Literal["Running", "Suspended"]
Fault = Literal["", "rule", "code", "symbol", "broker"]
"""What is wrong with a manifest that the API server cannot know."""
What = Literal["create", "change", "suspend", "resume", "delete", "apply-now", "refuse", "spoil", "mend", "pod"]
Process = Literal["gateway", "operator", "gateway-pod"]

_KINDS: Final[tuple[Kind, ...]] = ("idle", "rules", "eager", "holder")
_KIND_WEIGHTS: Final = (3, 4, 2, 2)
_UPDATES: Final[tuple[UpdatePolicy, ...]] = ("WhenFlat", "Immediate", "Manual")
_SUSPENDS: Final[tuple[OnSuspend, ...]] = ("CancelOrders", "KeepOrders", "Flatten")
_PARTS: Final = ("logic", "capital", "limit", "update_policy")
_NAME_RESTS: Final = 8
"""Steps until a name of one that was deleted may be taken again."""
_STEADY: Final[tuple[tuple[str, Kind], ...]] = (("steady-eager", "eager"), ("steady-rules", "rules"))


class Wish(NamedTuple):
    """A Strategy as its manifest asks for it."""

    name: str
    kind: Kind
    update_policy: UpdatePolicy = "Immediate"
    on_suspend: OnSuspend = "CancelOrders"
    state: State = "Running"
    logic: int = 0
    capital: int = 0
    limit: int = 0
    fault: Fault = ""


class Step(NamedTuple):
    what: What
    wish: Wish
    """As it is to be afterwards; of a deletion, as it was."""
    refusal: int = -1
    """Which of REFUSED is tried first."""


class Disturbance(NamedTuple):
    at_s: float
    process: Process


class Refusal(NamedTuple):
    """What is wrong with a spec, and what the API server says of it."""

    changes: dict[str, Any]
    words: str


REFUSED: Final[tuple[Refusal, ...]] = (
    Refusal({"capital": {"amount": "10", "perTrade": "11"}}, "perTrade 11 is more than amount 10"),
    Refusal({"timeframe": "500ms"}, "500ms is not a whole number of seconds"),
    Refusal({"updatePolicy": "Sometimes"}, '"Sometimes"'),
    # kubectl itself says it in other words than the API server, when it has judged by the schema beforehand.
    Refusal({"leverage": 5}, "unknown field"),
    Refusal({"exit": {"policy": "StopLoss"}}, "StopLoss needs stopLoss"),
    Refusal({"symbols": ["BTC/USDT", "BTC/USDT"]}, "BTC/USDT is there twice"),
)


def steady() -> list[Wish]:
    """Strategies that are left alone from beginning to end: what their processes take can only grow by itself."""
    return [Wish(name=name, kind=kind) for name, kind in _STEADY]


def steps(seed: int, limit: int) -> Iterator[Step]:
    """Without end. At most ``limit`` Strategies are alive after each, those of `steady` counted."""
    plan = _Plan(random.Random(seed), limit - len(_STEADY))
    while True:
        yield from plan.next()


def disturbances(seed: int, minutes: float) -> list[Disturbance]:
    """In the first and in the last fifth only: a process that is killed between says nothing about what it leaks."""
    chance, span_s = random.Random(f"disturbances {seed}"), minutes * 60
    order: list[Process] = ["gateway", "operator", "gateway-pod"]
    chance.shuffle(order)
    parts = [0.06, 0.11, 0.16, 0.84, 0.88, 0.92]
    return [
        Disturbance(span_s * (part + chance.uniform(0, 0.02)), process)
        for part, process in zip(parts, order * 2, strict=True)
    ]


class _Plan:
    def __init__(self, chance: random.Random, limit: int) -> None:
        self._chance = chance
        self._limit = limit
        self._alive: dict[str, Wish] = {}
        self._graves: deque[tuple[int, str]] = deque()
        self._count = self._named = 0

    def next(self) -> list[Step]:
        """One step; two where a manifest is refused first."""
        self._count += 1
        what = self._choose()
        if what in {"create", "refuse"}:
            return self._create(refused_first=what == "refuse")
        if what == "spoil" and self._chance.random() < 0.5 and len(self._alive) < self._limit:
            (made,) = self._create(refused_first=False)
            return [Step("spoil", self._put(self._spoilt(made.wish, ("rule", "code", "symbol", "broker"))))]
        wish = self._chance.choice(self._for(what))
        if what == "delete":
            del self._alive[wish.name]
            self._graves.append((self._count, wish.name))
            return [Step(what, wish)]
        return [Step(what, self._put(self._changed(what, wish)))]

    def _choose(self) -> What:
        missing = self._limit - len(self._alive)
        weights: dict[What, float] = {
            # It fills up first, and is nearly full from then on.
            "create": 0.0 if missing <= 0 else 4.0 + 30.0 * max(0.0, missing / self._limit - 0.1),
            "refuse": 0.0 if missing <= 0 else 1.0,
            "delete": 3.0,
            "change": 6.0,
            "suspend": 3.0,
            "resume": 3.0,
            "apply-now": 2.0,
            "spoil": 1.0,
            "mend": 3.0,
            "pod": 1.5,
        }
        possible = {
            what: weight
            for what, weight in weights.items()
            if weight > 0 and (what in {"create", "refuse"} or self._for(what))
        }
        (chosen,) = self._chance.choices(list(possible), weights=list(possible.values()))
        return chosen

    def _for(self, what: What) -> list[Wish]:
        """To whom it can be done."""
        alive = list(self._alive.values())
        match what:
            case "resume":
                return [one for one in alive if one.state == "Suspended"]
            case "mend":
                return [one for one in alive if one.fault]
            case "delete":
                return alive
            case "change":
                return [one for one in alive if not one.fault]
            case "apply-now":
                return [one for one in alive if _runs(one) and one.update_policy != "Immediate"]
            case _:
                return [one for one in alive if _runs(one)]

    def _create(self, *, refused_first: bool) -> list[Step]:
        chance = self._chance
        (kind,) = chance.choices(_KINDS, weights=_KIND_WEIGHTS)
        wish = Wish(
            name=self._name(), kind=kind, update_policy=chance.choice(_UPDATES), on_suspend=chance.choice(_SUSPENDS)
        )
        self._put(wish)
        first = [Step("refuse", wish, chance.randrange(len(REFUSED)))] if refused_first else []
        return [*first, Step("create", wish)]

    def _name(self) -> str:
        if self._graves and self._count - self._graves[0][0] >= _NAME_RESTS and self._chance.random() < 0.3:
            return self._graves.popleft()[1]
        self._named += 1
        return f"s-{self._named:03d}"

    def _changed(self, what: What, wish: Wish) -> Wish:
        chance = self._chance
        match what:
            case "suspend":
                return wish._replace(state="Suspended", on_suspend=chance.choice(_SUSPENDS))
            case "resume":
                return wish._replace(state="Running")
            case "mend":
                return wish._replace(fault="")
            case "spoil":
                return self._spoilt(wish, ("rule", "code", "symbol"))
            case "change":
                part = chance.choice(_PARTS)
                if part == "update_policy":
                    return wish._replace(
                        update_policy=chance.choice([one for one in _UPDATES if one != wish.update_policy])
                    )
                return wish._replace(**{part: getattr(wish, part) + 1})
            case _:
                return wish

    def _spoilt(self, wish: Wish, faults: tuple[Fault, ...]) -> Wish:
        by_rules = wish.kind in {"idle", "rules"}
        fitting = [fault for fault in faults if fault != ("code" if by_rules else "rule")]
        return wish._replace(fault=self._chance.choice(fitting))

    def _put(self, wish: Wish) -> Wish:
        self._alive[wish.name] = wish
        return wish


def _runs(wish: Wish) -> bool:
    return wish.state == "Running" and not wish.fault
