"""Listens for runtimes and fleet commands: checks permits, keeps one session per strategy."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence, Set
from pathlib import Path
from typing import Final

import msgspec

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.fence import Fence, admit
from christmas.brokers.gateway.hindsight import book_as_known
from christmas.brokers.gateway.ledger import Ledger
from christmas.brokers.gateway.moments import Moments
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.gateway.session import Connection, Decision, Session, count_buffers
from christmas.brokers.permit import Permit, PermitError, PermitExpired, PermitForeign, verify
from christmas.execution.journal import SessionChanged, SignalNoted
from christmas.execution.order import OrderIntent, OrderReport
from christmas.execution.protocol import (
    PROTOCOL_VERSION,
    Answered,
    Cancel,
    Command,
    CommandResult,
    Fees,
    Goodbye,
    Hello,
    KnownOrder,
    Mode,
    Ping,
    ProtocolError,
    RefusalCode,
    Refused,
    Report,
    RuntimeFrame,
    SignalNote,
    Submit,
    TradingState,
    Welcome,
)
from christmas.telemetry import crash
from christmas.telemetry.cancelling import end
from christmas.telemetry.events import AlertEvent, Event, StateEvent
from christmas.telemetry.listener import listen_at
from christmas.telemetry.steady import steady_us

logger = logging.getLogger(__name__)

FIRST_FRAME_S: Final = 5.0
CONNECTIONS_MAXIMUM: Final = 1_024
_BEAT_S: Final = 0.25
_REFUSED_EVERY_S: Final = 1.0
_OPENING_S: Final = 60.0


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What this gateway is, as its sessions are told."""

    broker: str
    market: str
    mode: Mode
    permit_key: bytes


class Refusal(Exception):
    def __init__(self, code: RefusalCode, reason: str) -> None:
        super().__init__(reason)
        self.code: RefusalCode = code


class Server:
    def __init__(
        self,
        identity: Identity,
        *,
        ledger: Ledger,
        desk: Desk,
        quotes: Quotes,
        publish: Callable[[Event], None],
    ) -> None:
        self._identity = identity
        self._ledger = ledger
        self._desk = desk
        self._quotes = quotes
        self.command: Callable[[Command], Awaitable[CommandResult]] | None = None
        self._publish = publish
        self.sessions: dict[str, Session] = {}
        """Open ones, by strategy uid."""
        self.on_joined: Callable[[Session], None] = lambda _session: None
        self.shown_us: Callable[[], int] = lambda: quotes.clock_us
        """The market time up to which strategies have decided, and all that they decided was seen to."""
        self.fees: Fees | None = None
        """Known once the venue has answered; no session opens before."""
        self.opened = asyncio.Event()
        self._connections: set[Connection] = set()
        self._noted: set[tuple[str, str]] = set()
        self._told_refused: dict[RefusalCode, float] = {}
        """When the last event of a code was published."""
        self._joined = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._is_local = False
        self._beats: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        ledger.on_report = self._on_report

    async def start(self, address: str) -> None:
        """Listen on ``unix:/path`` or ``tcp://host:port``."""
        self._is_local = address.startswith("unix:")
        if self._is_local:
            listener = listen_at(Path(address.removeprefix("unix:")))
            self._server = await asyncio.start_unix_server(self._accept, sock=listener)
        else:
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            self._server = await asyncio.start_server(self._accept, host.strip("[]"), int(port))
        self._beats = asyncio.create_task(self._beat(), name="beats")

    async def close(self, goodbye: str | None = None) -> None:
        """Stop listening and end all sessions. With a ``goodbye`` they are not to come back: the market has
        ended. A gateway that only stops lets them wait for the next one.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in tuple(self.sessions.values()):
            if goodbye is not None:
                crash.point("gateway.goodbye.send")
                session.send(Goodbye(reason=goodbye))
                crash.point("gateway.goodbye.sent")
        for connection in tuple(self._connections):
            connection.end("goodbye")
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=2.0)
        if self._beats is not None:
            await end(self._beats)

    def are_there(self, expected: Set[str]) -> bool:
        """Whether all these strategies have a session."""
        return expected <= {session.owner.strategy for session in self.sessions.values()}

    async def all_there(self, expected: Set[str], on_waiting: Callable[[str | None], None]) -> None:
        """Wait for these strategies; ``on_waiting`` is told for whom, and None when all are there."""
        while not self.are_there(expected):
            missing = expected - {session.owner.strategy for session in self.sessions.values()}
            on_waiting(f"the replay waits for {', '.join(sorted(missing))}")
            self._joined.clear()
            await self._joined.wait()
        on_waiting(None)

    def tell_trading(self) -> None:
        """Tell every session whether entries are taken now."""
        for session in self.sessions.values():
            reason = self.why_not(session.owner.strategy)
            session.send(TradingState(enabled=reason is None, reason=reason or ""))

    def why_not(self, strategy: str) -> str | None:
        """Why no entry of a strategy is taken, or None."""
        desk = self._desk
        return desk.blocked or desk.journal_waits or desk.feed_silent or self._ledger.book.halted(strategy)

    @property
    def _is_lockstep(self) -> bool:
        return self._identity.mode == "lockstep"

    # --- connections ---------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        if len(self._connections) >= CONNECTIONS_MAXIMUM:
            connection.send(Refused(code="TooManySessions", reason=f"{CONNECTIONS_MAXIMUM} connections are open"))
            await connection.close()
            return
        self._connections.add(connection)
        try:
            await self._serve(connection)
        except Refusal as error:
            metrics.REFUSED.labels(error.code).inc()
            logger.warning("refused", extra={"code": error.code, "reason": str(error)})
            connection.send(Refused(code=error.code, reason=str(error)))
            self._tell_refused(error.code, str(error))
        except ProtocolError as error:
            metrics.REFUSED.labels("BadFrame").inc()
            logger.warning("a peer broke the protocol", extra={"error": str(error)})
            connection.send(Refused(code="BadFrame", reason=str(error)))
            self._tell_refused("BadFrame", str(error))
        except (OSError, TimeoutError) as error:
            logger.info("a connection broke", extra={"error": str(error) or type(error).__name__})
        finally:
            self._connections.discard(connection)
            await connection.close()

    def _tell_refused(self, code: RefusalCode, reason: str) -> None:
        """An event for who looks on; whoever keeps knocking makes one a second, not one for each knock."""
        now_s = time.monotonic()
        if now_s - self._told_refused.get(code, -_REFUSED_EVERY_S) < _REFUSED_EVERY_S:
            return
        self._told_refused[code] = now_s
        self._publish(
            AlertEvent(
                time_us=self._quotes.clock_us,
                broker=self._identity.broker,
                severity="warning",
                reason=code,
                message=f"a connection was refused: {reason}",
            )
        )

    async def _serve(self, connection: Connection) -> None:
        async with asyncio.timeout(FIRST_FRAME_S):
            first = await connection.receive()
        if first is None:
            return
        if isinstance(first, Command):
            self._verify(first.permit, "admin")
            if self.command is None:
                raise Refusal("NotReconciled", "the gateway takes no commands yet")
            async with asyncio.timeout(_OPENING_S):
                await self.opened.wait()
                connection.send(await self.command(first))
            return
        if not isinstance(first, Hello):
            raise ProtocolError(f"the first frame is a Hello or a Command, not {type(first).__name__}")
        session = await self._open(connection, first)
        if session is None:
            return
        try:
            while (frame := await connection.receive()) is not None and connection.is_open:
                self._dispatch(session, frame)
        finally:
            self._left(session)

    async def _open(self, connection: Connection, hello: Hello) -> Session | None:
        if hello.protocol != PROTOCOL_VERSION:
            raise Refusal("ProtocolVersion", f"this gateway speaks version {PROTOCOL_VERSION}, not {hello.protocol}")
        if hello.timeframe_us <= 0:
            raise ProtocolError("timeframe_us must be above zero")
        permit = self._verify(hello.permit, "strategy")
        async with asyncio.timeout(_OPENING_S):
            await self.opened.wait()
        if not connection.is_open:
            return None
        session = Session(connection, permit, hello)
        is_new = await self._pass_fence(session)
        self._welcome(session, hello, is_new=is_new)
        return session

    def _verify(self, text: str, role: str) -> Permit:
        try:
            return verify(
                text,
                self._identity.permit_key,
                broker=self._identity.broker,
                # By a clock that nobody sets back: what has expired stays expired.
                now_us=steady_us(),
                role="admin" if role == "admin" else "strategy",
            )
        except PermitExpired as error:
            raise Refusal("PermitExpired", str(error)) from error
        except PermitForeign as error:
            raise Refusal("PermitForeign", str(error)) from error
        except PermitError as error:
            raise Refusal("PermitForged", str(error)) from error

    async def _pass_fence(self, session: Session) -> bool:
        """Take over from whoever speaks for the strategy, or be refused for good. Durable on return.

        True when this process has not had a session before.
        """
        owner, book = session.owner, self._ledger.book
        before = book.fences.get(owner.uid, Fence())
        admission = admit(before, epoch=owner.epoch, instance=session.instance)
        if admission.refusal is not None:
            self._note_refused(session, admission.refusal)
            raise Refusal(admission.refusal, f"another process speaks for {owner.strategy} now")
        entries = [self._changed(session, "opened")]
        if admission.supersedes is not None:
            entries.insert(0, self._changed(session, "superseded", instance=before.instance))
        durable = asyncio.get_running_loop().create_future()
        crash.point("gateway.fence.write")
        self._ledger.write(*entries, owner=owner.uid, then=lambda: _resolve(durable))
        old = self.sessions.pop(owner.uid, None)
        if old is not None:
            # Nothing that it sends from here on is looked at.
            if admission.supersedes is not None:
                old.send(Refused(code=admission.supersedes, reason="a newer process has taken over"))
                metrics.REFUSED.labels(admission.supersedes).inc()
            old.connection.end("superseded" if admission.supersedes is not None else "reconnected")
            old.ended()
        async with asyncio.timeout(FIRST_FRAME_S):
            await durable
        crash.point("gateway.fence.written")
        now = book.fences[owner.uid]
        if now.instance != session.instance or now.epoch != owner.epoch:
            raise Refusal("InstanceSuperseded", "a newer process has taken over")
        return before.instance != session.instance

    def _welcome(self, session: Session, hello: Hello, *, is_new: bool) -> None:
        owner, book, fees = session.owner, self._ledger.book, self.fees
        if fees is None:
            raise ProtocolError("the venue's fees are not known")
        other = self.sessions.pop(owner.uid, None)
        if other is not None:
            other.connection.end("reconnected")
            other.ended()
        reported = book.strategy(owner.uid, owner.strategy).reports
        # A process that is new here is told everything in its welcome, one that comes back gets what it missed.
        resume = max(hello.last_report_sequence, book.joined.get(owner.uid, 0))
        known = reported if is_new else min(resume, reported)
        reason, clock_us = self.why_not(owner.strategy), self.shown_us()
        if is_new and self._is_lockstep:
            # It goes on where its strategy last answered, and knows no more than was known then.
            book = book_as_known(self._ledger.journal.recover(), clock_us)
        strategy = book.strategy(owner.uid, owner.strategy)
        # The book is ahead of the disk: what a welcome tells, a gateway that is killed now must still know.
        session.connection.hold()
        self._ledger.write(owner=owner.uid, then=session.connection.release)
        crash.point("gateway.welcome.send")
        session.send(
            Welcome(
                strategy=owner.strategy,
                strategy_uid=owner.uid,
                epoch=owner.epoch,
                mode=self._identity.mode,
                market=self._identity.market,
                clock_us=clock_us,
                instruments=self._desk.instruments,
                fees=fees,
                orders=known_orders(book, owner.uid, clock_us - 2 * hello.timeframe_us),
                last_report_sequence=reported,
                trading_enabled=reason is None,
                reason=reason or "",
                realised_pnl=strategy.realised,
                closed_trades=strategy.closed_trades,
                winning_trades=strategy.winning_trades,
                fees_paid=strategy.fees_paid,
            )
        )
        crash.point("gateway.welcome.sent")
        for report in self._ledger.reports_after(owner.uid, 0 if self._is_lockstep else known):
            if report.sequence > known or report.effective_us > clock_us:
                self._send_report(session, report)
        session.reported = max(session.reported, known)
        self.sessions[owner.uid] = session
        metrics.SESSIONS.set(len(self.sessions))
        logger.info("session opened", extra={"strategy": owner.strategy, "epoch": owner.epoch})
        self._publish(self._state(session, "SessionOpened"))
        self.on_joined(session)
        self._joined.set()

    def _left(self, session: Session) -> None:
        why = session.connection.ended_by or "left"
        metrics.SESSIONS_ENDED.labels(why).inc()
        session.ended()
        if self.sessions.get(session.owner.uid) is session:
            del self.sessions[session.owner.uid]
            self._publish(self._state(session, "SessionClosed", why))
        metrics.SESSIONS.set(len(self.sessions))
        logger.info("session ended", extra={"strategy": session.owner.strategy, "why": why})

    def _state(self, session: Session, state: str, message: str = "") -> StateEvent:
        return StateEvent(
            time_us=self._quotes.clock_us,
            strategy=session.owner.strategy,
            broker=self._identity.broker,
            component="gateway",
            state=state,
            message=message,
        )

    # --- frames --------------------------------------------------------------------------------

    def _dispatch(self, session: Session, frame: RuntimeFrame) -> None:
        match frame:
            case Submit() | Cancel() | SignalNote():
                if isinstance(frame, Submit) and session.permit.limits is None:
                    raise ProtocolError("the permit carries no limits")
                if self._is_lockstep:
                    session.keep(frame)
                else:
                    self._see_to(session, frame)
            case Answered():
                session.answered(frame)
            case Ping():
                pass
            case _:
                raise ProtocolError(f"{type(frame).__name__} within a session")

    def carry_out(self, session: Session) -> None:
        """Lock-step: see to what a strategy decided in a window that all have answered for.

        Orders know by their ids what was seen to before this gateway was killed; signals by their time.
        """
        decisions = session.take_decisions()
        notes = [decision for decision in decisions if isinstance(decision, SignalNote)]
        if notes and session.is_first_window:
            known_us = self._ledger.journal.last_signal_us(session.owner.uid)
            notes = [note for note in notes if note.time_us > known_us]
        session.is_first_window = False
        self._note_signals(session, notes)
        for decision in decisions:
            if not isinstance(decision, SignalNote):
                self._see_to(session, decision)

    def _see_to(self, session: Session, decision: Decision) -> None:
        match decision:
            case Submit(intent=intent):
                if session.permit.limits is not None:
                    self._desk.submit(
                        intent,
                        session.owner,
                        session.permit.limits,
                        moments=self._moments(decision),
                    )
            case Cancel():
                self._desk.cancel(decision.intent, session.owner)
            case SignalNote():
                self._note_signals(session, [decision])

    def _moments(self, submit: Submit) -> Moments:
        cause_s = self._quotes.cause_s(submit.intent.symbol, submit.cause_sequence, submit.cause_clock_us)
        # In lock-step a decision waits for those of the others.
        told = self._is_local and not self._is_lockstep and submit.decided_s > 0
        return Moments(cause_s, submit.decided_s if told else None, time.perf_counter())

    def _note_signals(self, session: Session, notes: Sequence[SignalNote]) -> None:
        """All of them become durable together, or none."""
        if not notes:
            return
        wall_us = time.time_ns() // 1000
        self._ledger.write(
            *(
                SignalNoted(
                    time_us=note.time_us,
                    wall_us=wall_us,
                    strategy=session.owner.strategy,
                    symbol=note.symbol,
                    signal=note.signal,
                    taken=note.taken,
                    reason=note.reason,
                )
                for note in notes
            ),
            owner=session.owner.uid,
            # The order that it led to comes next, and must not wait for a commit of the note alone.
            urgent=False,
        )

    def _on_report(self, uid: str, report: OrderReport, intent: OrderIntent) -> None:
        session = self.sessions.get(uid)
        if session is not None and report.sequence > session.reported:
            self._send_step(session, report, intent)

    def _send_report(self, session: Session, report: OrderReport) -> None:
        order = self._ledger.book.orders.get(report.client_order_id)
        intent = order.intent if order is not None else None
        self._send_step(session, report, intent)

    @staticmethod
    def _send_step(session: Session, report: OrderReport, intent: OrderIntent | None) -> None:
        crash.point("gateway.report.send")
        session.reported = report.sequence
        session.send(
            Report(report=report, intent=intent if intent is not None and intent.breaks_policy == "flatten" else None)
        )
        crash.point("gateway.report.sent")

    def _changed(self, session: Session, state: str, *, instance: str = "") -> SessionChanged:
        return SessionChanged(
            time_us=self._quotes.clock_us,
            wall_us=time.time_ns() // 1000,
            strategy=session.owner.strategy,
            strategy_uid=session.owner.uid,
            epoch=session.owner.epoch,
            instance=instance or session.instance,
            state="superseded" if state == "superseded" else "refused" if state == "refused" else "opened",
        )

    def _note_refused(self, session: Session, code: str) -> None:
        """Once for each instance: a process that keeps knocking must not fill the journal."""
        key = (session.owner.uid, session.instance)
        if key in self._noted or len(self._noted) >= CONNECTIONS_MAXIMUM:
            return
        self._noted.add(key)
        self._ledger.write(
            msgspec.structs.replace(self._changed(session, "refused"), reason=code), owner=session.owner.uid
        )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            now_s = time.monotonic()
            for connection in tuple(self._connections):
                connection.beat(now_s)
            count_buffers(list(self._connections))


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def known_orders(book: Book, uid: str, since_us: int) -> tuple[KnownOrder, ...]:
    """Orders of positions that are not closed, and all that were decided since ``since_us``.

    In the order in which they were written down: a runtime that goes on decides about them one after the other, and
    must do so in the order in which the one before it would have.
    """
    strategy = book.strategies.get(uid)
    if strategy is None:
        return ()
    keys = {key for position in strategy.positions.values() for key in position.orders} | set(strategy.live)
    for position in reversed(strategy.finished.values()):
        recent = {key for key in position.orders if book.orders[key].intent.decided_us >= since_us}
        keys |= recent
    return tuple(order.known() for key, order in book.orders.items() if key in keys)
