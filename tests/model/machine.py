"""The gateway's order life as a Hypothesis state machine: whatever strategies, the venue, the market and
the power do, in any order, what the reference model says must hold holds.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import mock

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from christmas.execution.order import CancelIntent, OrderIntent, OrderStatus
from christmas.execution.protocol import Command, CommandResult
from christmas.market.tick import Side, Tick
from christmas.resources.broker import Faults
from tests.model.life import CASH, LOT_SIZE, SYMBOL, T0, Life, permit_for, put_faults
from tests.model.peer import Peer, command
from tests.model.reference import Reference

T = TypeVar("T")
STRATEGIES: Final = ("alpha", "beta")
SETTLED_WITHIN_S: Final = 20.0
_NAMES = st.sampled_from(STRATEGIES)
_PRICES = st.integers(95, 105)
_LOTS = st.integers(1, 8)
_PARTS = st.sampled_from([0.0, 0.0, 0.2, 0.5])
_WEATHER = st.builds(
    Faults,
    seed=st.integers(0, 1_000),
    timeout_after_accepting=_PARTS,
    duplicate_fill=_PARTS,
    late_fill=_PARTS,
    disconnect=_PARTS,
    wrong_sequence=_PARTS,
    rate_limited=_PARTS,
    server_error=st.sampled_from([0.0, 0.0, 0.2, 0.4, 1.0]),
    reject=st.sampled_from([0.0, 0.0, 0.0, 0.3]),
)


class OrderLife(RuleBasedStateMachine):
    orders = Bundle("orders")
    """Client order ids that some strategy has tried to send."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(prefix="cm-"))
        self.lives = 0
        self.clock_us = T0
        self.ticks: list[Tick] = []
        self.reference = Reference(CASH, LOT_SIZE)
        self.peers: dict[str, Peer] = {}
        self.superseded: list[Peer] = []
        self.halted: set[str] = set()
        self.commands: set[asyncio.Task[CommandResult | None]] = set()
        self.number = 0
        self.is_outage = False
        # Silence is measured by the wall, and the loop stands still between steps; a 429 is waited out in earnest.
        self.patches = [
            mock.patch("christmas.brokers.gateway.session.SILENCE_S", 1e9),
            mock.patch("christmas.brokers.paper.venue.RETRY_AFTER_S", 0.001),
        ]
        for patch in self.patches:
            patch.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    # --- beginning -----------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.run(self._live(None))
        self.print_at(price=100, lots=1_000, side="buy", step_ms=1_000)

    async def _live(self, before: Life | None) -> None:
        """Start a gateway: the first, or the next one over the files that the one before left behind."""
        folder = self.root / str(self.lives)
        self.lives += 1
        if before is None:
            folder.mkdir()
        else:
            before.copy_to(folder)
            for peer in (*self.peers.values(), *self.superseded):
                peer.go_deaf()
            for task in self.commands:
                task.cancel()
            await before.end()
            await _nothing_left()
            self.commands.clear()
            self.reference.forget()
            assert before.venue.broken == []
            shutil.rmtree(before.folder)
        self.life = Life(folder)
        await self.life.start(self.ticks, self.clock_us)
        for strategy in STRATEGIES:
            if strategy not in self.peers:
                self.peers[strategy] = Peer(strategy, 1, secrets.token_hex(4))
            await self._connect(self.peers[strategy])

    async def _connect(self, peer: Peer) -> None:
        await peer.connect(self.life.address, permit_for(peer.strategy, peer.epoch))

    async def _settle(self) -> None:
        """Until nothing is under way; in an outage of the venue nothing can be waited for but the journal."""
        if self.is_outage:
            async with asyncio.timeout(SETTLED_WITHIN_S):
                await self.life.journal.flushed()
                await asyncio.sleep(0.01)
            return
        async with asyncio.timeout(SETTLED_WITHIN_S):
            await self._heard()
            await self.life.settled()
            for peer in self.peers.values():
                await peer.told_up_to(self._steps(peer.strategy))

    async def _heard(self) -> None:
        """Give what was sent the time to be read."""
        for _ in range(5):
            await asyncio.sleep(0)
        await self.life.journal.flushed()

    def _steps(self, strategy: str) -> int:
        book = self.life.ledger.book.strategies.get(f"uid-{strategy}")
        return 0 if book is None else book.reports

    def finish_step(self, *, wait: bool) -> None:
        if wait:
            self.run(self._settle())
        else:
            self.run(self._heard())

    # --- strategies ----------------------------------------------------------------------------

    def _intent(self, strategy: str, side: Side, lots: int, price: int | None, position: str | None) -> OrderIntent:
        self.number += 1
        key = f"{strategy}-{self.number}"
        return OrderIntent(
            client_order_id=key,
            symbol=SYMBOL,
            side=side,
            type="market" if price is None else "limit",
            lots=lots,
            price=None if price is None else Decimal(price),
            purpose="entry" if side == "buy" else "exit",
            position_id=position or key,
            decided_us=self.life.quotes.clock_us,
        )

    def _submit(self, peer: Peer, intent: OrderIntent) -> None:
        self.reference.sent.setdefault(intent.client_order_id, (peer.strategy, intent))
        peer.submit(intent)

    @rule(target=orders, strategy=_NAMES, lots=_LOTS, price=st.none() | _PRICES, wait=st.booleans())
    def enter(self, strategy: str, lots: int, price: int | None, wait: bool) -> str:
        peer = self.peers[strategy]
        intent = self._intent(strategy, "buy", lots, price, None)
        if peer.is_open:
            self._submit(peer, intent)
        self.finish_step(wait=wait)
        if wait and peer.is_open and not self.is_outage and {strategy, ""} & self.halted:
            assert self.status(intent.client_order_id) is OrderStatus.DENIED, "an entry was taken during a halt"
        return intent.client_order_id

    @rule(
        target=orders,
        order=orders,
        lots=_LOTS,
        price=st.none() | _PRICES,
        wait=st.booleans(),
        twice=st.booleans(),
    )
    def leave(self, order: str, lots: int, price: int | None, wait: bool, twice: bool) -> Any:
        """Exit a position, which may be none, sold already, or offered already; twice: with two orders at once."""
        strategy = order.partition("-")[0]
        peer = self.peers[strategy]
        known = self.reference.sent.get(order)
        position = known[1].position_id if known is not None else order
        intents = [self._intent(strategy, "sell", lots, price, position) for _ in range(2 if twice else 1)]
        if peer.is_open:
            for intent in intents:
                self._submit(peer, intent)
        self.finish_step(wait=wait)
        return multiple(*(intent.client_order_id for intent in intents))

    @rule(order=orders, wait=st.booleans())
    def submit_again(self, order: str, wait: bool) -> None:
        known = self.reference.sent.get(order)
        if known is not None and self.peers[known[0]].is_open:
            self._submit(self.peers[known[0]], known[1])
        self.finish_step(wait=wait)

    @rule(order=orders, lots=_LOTS, by=_NAMES, wait=st.booleans())
    def submit_with_a_known_id(self, order: str, lots: int, by: str, wait: bool) -> None:
        """Another content under an id that is taken, by its owner or by another strategy."""
        known = self.reference.sent.get(order)
        # What was lost on its way is not known there: then this would be the first of its id.
        if known is not None and order in self.reference.written and self.peers[by].is_open:
            self.peers[by].submit(msgspec.structs.replace(known[1], lots=known[1].lots + lots))
        self.finish_step(wait=wait)

    @rule(order=orders, by=_NAMES, wait=st.booleans())
    def cancel(self, order: str, by: str, wait: bool) -> None:
        peer = self.peers[by]
        if peer.is_open:
            peer.cancel(CancelIntent(client_order_id=order, decided_us=self.life.quotes.clock_us))
        self.reference.withdrawals.add(f"{by} {order}")
        self.finish_step(wait=wait)

    # --- sessions ------------------------------------------------------------------------------

    @rule(strategy=_NAMES, back=st.booleans())
    def lose_connection(self, strategy: str, back: bool) -> None:
        peer = self.peers[strategy]
        self.run(peer.hang_up())
        if back:
            self.run(self._connect(peer))
            assert peer.is_open, peer.refused
            self.finish_step(wait=True)

    @rule(strategy=_NAMES)
    def come_back(self, strategy: str) -> None:
        peer = self.peers[strategy]
        if not peer.is_open:
            self.run(self._connect(peer))
            assert peer.is_open, peer.refused
            self.finish_step(wait=True)

    @rule(target=orders, strategy=_NAMES, newer=st.booleans(), wait=st.booleans(), killed=st.booleans())
    def take_over(self, strategy: str, newer: bool, wait: bool, killed: bool) -> str:
        """Another process; what the older one sends from then on changes nothing."""
        old = self.peers[strategy]
        peer = Peer(strategy, old.epoch + newer, secrets.token_hex(4))
        self.peers[strategy] = peer
        self.superseded.append(old)
        self.run(self._connect(peer))
        assert peer.is_open, peer.refused
        if killed:
            self.run(self._live(self.life))
        late = self._intent(strategy, "buy", 1, 100, None)
        self.reference.forbidden[late.client_order_id] = "its session was superseded"
        if old.is_open:
            old.submit(late)
        self.finish_step(wait=wait)
        if wait:
            self._check_welcome(peer)
        return late.client_order_id

    @rule(strategy=_NAMES, pick=st.integers(0, 5))
    def superseded_comes_back(self, strategy: str, pick: int) -> None:
        old = [peer for peer in self.superseded if peer.strategy == strategy]
        if old:
            peer = old[pick % len(old)]
            self.run(self._connect(peer))
            assert not peer.is_open, "a superseded process was welcomed"
            assert peer.refused is not None
            assert peer.refused.code in {"EpochSuperseded", "InstanceSuperseded"}

    @rule(strategy=_NAMES)
    def older_epoch_comes(self, strategy: str) -> None:
        peer = Peer(strategy, self.peers[strategy].epoch - 1, secrets.token_hex(4))
        self.run(self._connect(peer))
        assert not peer.is_open, "an older epoch was welcomed"
        assert peer.refused is not None
        assert peer.refused.code == "EpochSuperseded"
        self.run(peer.hang_up())

    def _check_welcome(self, peer: Peer) -> None:
        """What a new process was told is what the journal had by then, and complete for what is open."""
        assert peer.welcome is not None
        self._read_journal()
        steps = self.reference.told[peer.strategy]
        assert peer.first <= len(steps), f"a welcome told of report {peer.first}, the journal has {len(steps)}"
        told = {order.intent.client_order_id: order for order in peer.first_orders}
        at_welcome: dict[str, tuple[OrderStatus, int]] = {}
        for step in steps[: peer.first]:
            at_welcome[step.client_order_id] = (step.status, step.filled_lots)
        for key, (status, filled) in at_welcome.items():
            if status.is_final and key not in told:
                continue
            assert key in told, f"the welcome does not tell of {key}"
            assert (told[key].status, sum(fill.lots for fill in told[key].fills)) == (status, filled)

    # --- the market, the venue, the power ------------------------------------------------------

    @rule(
        price=_PRICES,
        lots=st.integers(1, 20),
        side=st.sampled_from(["buy", "sell"]),
        step_ms=st.sampled_from([1, 5, 200, 1_000, 3_000]),
    )
    def print_at(self, price: int, lots: int, side: Side, step_ms: int) -> None:
        self.clock_us += step_ms * 1_000
        number = len(self.ticks) + 1
        tick = Tick(
            time_us=self.clock_us,
            symbol=SYMBOL,
            trade_id=str(number),
            price=Decimal(price),
            lots=lots,
            taker_side=side,
        )
        self.ticks.append(tick)

        async def show() -> None:
            self.life.show(tick)

        self.run(show())
        self.finish_step(wait=True)

    @rule(seconds=st.integers(1, 70))
    def advance(self, seconds: int) -> None:
        self.clock_us += seconds * 1_000_000

        async def show() -> None:
            self.life.clock_to(self.clock_us)

        self.run(show())
        self.finish_step(wait=True)

    @rule(faults=_WEATHER)
    def weather(self, faults: Faults) -> None:
        put_faults(self.life.folder, faults)
        self.is_outage = faults.server_error == 1.0
        self.finish_step(wait=True)

    @rule()
    def fair_weather(self) -> None:
        put_faults(self.life.folder, None)
        self.is_outage = False
        self.finish_step(wait=True)

    @rule(hurry=st.booleans(), turns=st.integers(0, 6))
    def kill_the_gateway(self, hurry: bool, turns: int) -> None:
        """SIGKILL, and a new process over the files; hurry: while whatever was begun is under way."""
        if hurry:
            for _ in range(turns):
                self.run(asyncio.sleep(0))
        else:
            self.run(self._settle())
        self.run(self._live(self.life))
        self.finish_step(wait=not hurry)

    # --- commands ------------------------------------------------------------------------------

    def _command(self, action: str, strategy: str | None) -> None:
        frame = msgspec.convert(
            {
                "type": "command",
                "permit": permit_for("fleet", 0, role="admin"),
                "action": action,
                "strategy": strategy,
            },
            Command,
        )

        async def start() -> None:
            task = asyncio.get_running_loop().create_task(command(self.life.address, frame))
            self.commands.add(task)
            task.add_done_callback(self.commands.discard)
            if action in {"halt", "resume"}:
                assert (await task) is not None

        self.run(start())

    @rule(strategy=st.none() | _NAMES)
    def halt(self, strategy: str | None) -> None:
        self._command("halt", strategy)
        self.halted.add(strategy or "")
        self.finish_step(wait=True)

    @rule(strategy=st.none() | _NAMES)
    def resume(self, strategy: str | None) -> None:
        self._command("resume", strategy)
        self.halted.discard(strategy or "")
        self.finish_step(wait=True)

    @rule(strategy=_NAMES, times=st.integers(1, 2))
    def flatten(self, strategy: str, times: int) -> None:
        """Sell everything, whatever it brings; twice when somebody is nervous."""
        for _ in range(times):
            self._command("flatten", strategy)
        self.finish_step(wait=True)
        # What it halts is known only when it was not refused.
        if strategy in self.life.ledger.book.halts:
            self.halted.add(strategy)

    # --- what must hold ------------------------------------------------------------------------

    def status(self, key: str) -> OrderStatus | None:
        self._read_journal()
        return self.reference.status.get(key)

    def _read_journal(self) -> None:
        wrong = self.reference.read(self.life.file.entries(after=self.reference.sequence))
        assert not wrong, wrong

    @invariant()
    def nothing_lost_nothing_doubled(self) -> None:
        if not self.lives:
            return
        # The venue's own view first: what it has, the journal had before.
        venue = self.life.statement()
        self._read_journal()
        assert self.life.venue.broken == []
        wrong = self.reference.against_venue(venue) + self.reference.oversold()
        assert not wrong, wrong
        assert all(lots >= 0 for lots in venue.state.positions.values())
        for peer in (*self.peers.values(), *self.superseded):
            assert peer.broken == []
            heard = self.reference.heard_wrong(peer.strategy, peer.told)
            assert not heard, heard

    def teardown(self) -> None:
        try:
            if self.lives:
                self._end_well()
                self.nothing_lost_nothing_doubled()
                wrong = self.reference.at_the_end(self.life.statement())
                assert not wrong, wrong
        finally:
            self._clean_up()

    def _end_well(self) -> None:
        """The venue is well, everybody withdraws, and the market goes on."""
        self.fair_weather()
        for strategy in STRATEGIES:
            self.come_back(strategy)
        for _ in range(3):
            self._command("cancel_orders", None)
            self.finish_step(wait=True)
            self.advance(70)
        self.print_at(price=100, lots=10_000, side="buy", step_ms=1_000)
        self.print_at(price=100, lots=10_000, side="sell", step_ms=1_000)
        self._command("cancel_orders", None)
        self.advance(70)
        self.advance(70)

    def _clean_up(self) -> None:
        async def end() -> None:
            for task in tuple(self.commands):
                task.cancel()
            for peer in (*self.peers.values(), *self.superseded):
                await peer.hang_up()
            await self.life.end()
            await _nothing_left()

        try:
            if self.lives:
                self.run(end())
        finally:
            for patch in self.patches:
                patch.stop()
            self.loop.close()
            shutil.rmtree(self.root, ignore_errors=True)


async def _nothing_left() -> None:
    """What a process takes with it when it dies: all its tasks."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
