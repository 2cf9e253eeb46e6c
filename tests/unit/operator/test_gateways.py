"""What is known of a gateway, and what it is told: a hold is tried once, and then asked for."""

from __future__ import annotations

import asyncio

import pytest

from christmas.brokers.admin import Exposed, Exposure, GatewaySilentError
from christmas.execution.protocol import CommandResult
from christmas_operator import gateways as module
from christmas_operator.gateways import Gateways, Place
from christmas_operator.keys import Key
from christmas_operator.strategies.observed import GatewayWord
from tests.support.waiting import eventually

SCALPER, PAPER = Key("Strategy", "trading", "scalper"), Key("Broker", "trading", "paper")


class Gateway:
    """Answers in place of the connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.holds: dict[str, str] = {}
        self.feed_silent: str | None = None
        self.holding: dict[str, Exposed] = {}
        self.answers = True
        self.slow: list[asyncio.Event] = []
        """The next questions are answered when these are set, with what was true when they were asked."""
        self.woken = 0
        monkeypatch.setattr(module, "command", self._command)
        monkeypatch.setattr(module, "exposure", self._exposure)
        self.gateways = Gateways(self._resolve, self._wake)

    async def _resolve(self, _broker: Key) -> Place:
        return Place("tcp://gateway:7400", b"key")

    def _wake(self, key: Key) -> None:
        assert key == SCALPER
        self.woken += 1

    async def _command(self, *_: object, action: str, strategy: str, reason: str, **__: object) -> CommandResult:
        if not self.answers:
            raise GatewaySilentError("the gateway of paper does not answer")
        self.told.append(action)
        self.holds = {strategy: reason} if action == "hold" else {}
        return CommandResult(ok=True, message="")

    async def _exposure(self, *_: object, **__: object) -> Exposure:
        found = Exposure(strategies=self.holding, holds=dict(self.holds), feed_silent=self.feed_silent)
        if self.slow:
            await self.slow.pop(0).wait()
        return found

    def tell(self, name: str) -> None:
        assert name in {"hold", "release"}
        self.gateways.tell(SCALPER, PAPER, "hold" if name == "hold" else "release", 1, "an update")

    @property
    def word(self) -> GatewayWord:
        return self.gateways.word(SCALPER, PAPER, 1)


async def test_who_is_told_to_hold_is_asked_whether_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(monkeypatch)
    for name, held in (("hold", True), ("release", False), ("hold", True)):
        gateway.woken = 0
        gateway.tell(name)
        await eventually(lambda: gateway.woken > 0)
        assert (gateway.word.held, gateway.word.flat, gateway.word.done) == (held, True, frozenset())
    assert gateway.told == ["hold", "release", "hold"]
    await gateway.gateways.close()


async def test_a_hold_that_fails_is_not_tried_behind_the_operators_back(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(monkeypatch)
    gateway.answers = False
    gateway.tell("hold")
    await eventually(lambda: gateway.woken == 1)
    assert gateway.word.silent == "the gateway of paper does not answer"
    gateway.answers = True
    gateway.tell("release")
    await eventually(lambda: gateway.woken == 2)
    assert (gateway.told, gateway.word.silent) == (["release"], "")
    await gateway.gateways.close()


async def test_a_late_answer_does_not_undo_what_a_later_question_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(monkeypatch)
    late = asyncio.Event()
    gateway.slow.append(late)
    gateway.gateways.ask(SCALPER, PAPER)
    await eventually(lambda: not gateway.slow)
    gateway.tell("hold")
    await eventually(lambda: gateway.word.held)
    late.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert gateway.word.held
    await gateway.gateways.close()


async def test_a_silent_feed_is_news_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.01)
    gateway = Gateway(monkeypatch)
    # Who is flat is woken by each answer, news or not.
    gateway.holding = {SCALPER.name: Exposed(positions=1)}
    gateway.gateways.ask(SCALPER, PAPER)
    await eventually(lambda: gateway.woken == 1)
    for silent in ("feed silent since 12:00:03 UTC", None):
        gateway.feed_silent = silent
        await eventually(lambda: gateway.word.feed_silent == (gateway.feed_silent or ""))
        assert gateway.gateways.feed_silent(PAPER) == (silent or "")
    await eventually(lambda: gateway.woken == 3)
    await gateway.gateways.close()
