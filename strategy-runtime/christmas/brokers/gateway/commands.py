"""What the fleet may ask of a gateway with an admin's permit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from christmas.brokers.admin import HOLD_LASTS_S, Exposed, Exposure
from christmas.brokers.gateway.book import Hold, StrategyBook
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.ledger import Ledger, Owner
from christmas.brokers.gateway.positions import Position
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.gateway.rate import Priority
from christmas.brokers.port import Venue, VenueBalance, VenueError
from christmas.execution.journal import TradingChanged
from christmas.execution.order import CancelIntent, Fill, OrderIntent, client_order_id
from christmas.execution.protocol import Command, CommandResult, KnownOrder

_CANCELLED_WITHIN_S: Final = 10.0
_FLATTEN_SEQUENCE: Final = 1_000_000
"""Above every sequence that an engine gives: the ids of our own exits collide with none of its."""
_ORDERS_MAXIMUM: Final = 500
"""In one answer: a frame has a bound."""


class Commands:
    def __init__(
        self, *, ledger: Ledger, desk: Desk, venue: Venue, quotes: Quotes, on_trading: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._book = ledger.book
        self._desk = desk
        self._venue = venue
        self._quotes = quotes
        self._on_trading = on_trading
        self._stepped = asyncio.Event()
        self._flattening = asyncio.Lock()
        """Two at a time would each sell the same lots: our own exits do not pass the risk gate."""
        self._ends: dict[str, asyncio.TimerHandle] = {}
        """Of holds, by strategy."""
        ledger.on_step.append(lambda uid, _report: self._on_step(uid))

    async def run(self, command: Command) -> CommandResult:
        """Do it; a command that cannot be done says why."""
        match command.action:
            case "halt":
                await self._set_trading(command.strategy, False, command.reason or "halted by hand")
                return CommandResult(ok=True, message=f"{_whom(command)} takes no entries")
            case "resume":
                await self._set_trading(command.strategy, True, command.reason)
                return CommandResult(ok=True, message=f"{_whom(command)} takes entries again")
            case "hold" | "release":
                return await self._set_hold(command)
            case "cancel_orders":
                count = len(self._cancel_all(command.strategy, command.reason or "cancelled by hand"))
                await self._ledger.journal.flushed()
                return CommandResult(ok=True, message=f"{count} orders are being cancelled")
            case "flatten":
                async with self._flattening:
                    return await self._flatten(command)
            case "orders":
                return CommandResult(ok=True, message="", orders=self._orders(command.strategy))
            case "positions":
                return CommandResult(ok=True, message=_json(self._positions(command.strategy)))
            case "statement":
                return await self._statement(command.strategy)
            case "exposure":
                return CommandResult(ok=True, message=_json(self._exposure()))

    def _exposure(self) -> Exposure:
        """Asks nobody: the operator wants it of every strategy at once, and often."""
        exposed = {
            book.name: Exposed(positions=len(book.positions), orders=len(book.live))
            for book in self._book.strategies.values()
            if book.positions or book.live
        }
        holds = {name: hold.reason for name, hold in self._book.holds.items()}
        return Exposure(
            strategies=exposed,
            halts=dict(self._book.halts),
            holds=holds,
            blocked=self._desk.blocked,
            feed_silent=self._desk.feed_silent,
        )

    def _books(self, strategy: str | None) -> list[StrategyBook]:
        return [book for book in self._book.strategies.values() if strategy is None or book.name == strategy]

    async def _set_trading(self, strategy: str | None, enabled: bool, reason: str) -> None:
        self._ledger.write(
            TradingChanged(
                time_us=self._quotes.clock_us,
                wall_us=time.time_ns() // 1000,
                strategy=strategy or "",
                enabled=enabled,
                reason=reason,
            )
        )
        self._on_trading()
        await self._ledger.journal.flushed()

    async def _set_hold(self, command: Command) -> CommandResult:
        strategy, known = command.strategy, self._book.holds
        if not strategy:
            return CommandResult(ok=False, message=f"{command.action} needs the name of a strategy")
        if command.action == "hold":
            until_us = time.time_ns() // 1000 + int(HOLD_LASTS_S * 1e6)
            self._write_hold(strategy, until_us, enabled=False, reason=command.reason or "held for an update")
            self._end_in(HOLD_LASTS_S, strategy)
        elif strategy in known:
            self._write_hold(strategy, known[strategy].until_us, enabled=True, reason=command.reason)
        await self._ledger.journal.flushed()
        return CommandResult(ok=True, message=f"{_whom(command)} is {'held' if strategy in known else 'not held'}")

    def watch_holds(self) -> None:
        """End in time what was held when the gateway last stopped; needs a running event loop."""
        now_us = time.time_ns() // 1000
        for strategy, hold in self._book.holds.items():
            # A clock that was set back must not make a hold any longer.
            self._end_in(min(HOLD_LASTS_S, max(0.0, (hold.until_us - now_us) / 1e6)), strategy)

    def close(self) -> None:
        """Write no more."""
        for end in self._ends.values():
            end.cancel()
        self._ends.clear()

    def _end_in(self, seconds: float, strategy: str) -> None:
        hold = self._book.holds[strategy]
        known = self._ends.pop(strategy, None)
        if known is not None:
            known.cancel()
        self._ends[strategy] = asyncio.get_running_loop().call_later(seconds, self._end_hold, strategy, hold)

    def _end_hold(self, strategy: str, hold: Hold) -> None:
        """Unless it was lifted, or set again, meanwhile."""
        self._ends.pop(strategy, None)
        if self._book.holds.get(strategy) == hold:
            self._write_hold(strategy, hold.until_us, enabled=True, reason="the hold has lasted long enough")

    def _write_hold(self, strategy: str, until_us: int, *, enabled: bool, reason: str) -> None:
        self._ledger.write(
            TradingChanged(
                time_us=self._quotes.clock_us,
                wall_us=time.time_ns() // 1000,
                strategy=strategy,
                enabled=enabled,
                reason=reason,
                hold_until_us=until_us,
            )
        )
        self._on_trading()

    def _cancel_all(self, strategy: str | None, reason: str) -> list[str]:
        keys = [key for book in self._books(strategy) for key in book.live]
        for key in keys:
            order = self._book.orders[key]
            owner = Owner(strategy=order.strategy, uid=order.strategy_uid, epoch=order.epoch)
            intent = CancelIntent(client_order_id=key, decided_us=self._quotes.clock_us, reason=reason)
            self._desk.cancel(intent, owner)
        return keys

    async def _flatten(self, command: Command) -> CommandResult:
        """Halt, withdraw every order, then sell every position at the market: the user's own word against
        the policy, and marked as such.
        """
        if self._desk.blocked is not None:
            return CommandResult(ok=False, message=self._desk.blocked)
        await self._set_trading(command.strategy, False, command.reason or "flattened by hand")
        books = self._books(command.strategy)
        self._desk.flattening |= {book.uid for book in books if book.positions}
        keys = self._cancel_all(command.strategy, command.reason or "flattened by hand")
        if not await self._over(keys):
            self._desk.flattening -= {book.uid for book in books}
            return CommandResult(ok=False, message="not all orders could be withdrawn in time; nothing was sold")
        sold = [self._sell(book, position) for book in books for position in _held(book)]
        await self._ledger.journal.flushed()
        for book in books:
            self._on_step(book.uid)
        return CommandResult(ok=True, message=f"{len(sold)} positions are being closed at the market")

    def _sell(self, book: StrategyBook, position: Position) -> str:
        decided_us = self._quotes.clock_us
        orders = [self._book.orders[key] for key in position.orders]
        # Two positions may be sold at one moment, so the position is part of who decides.
        seller = f"{book.uid}/{position.position_id}"
        key = client_order_id(seller, decided_us, "sell", _FLATTEN_SEQUENCE + len(orders))
        intent = OrderIntent(
            client_order_id=key,
            symbol=position.symbol,
            side="sell",
            type="market",
            lots=position.lots,
            purpose="exit",
            position_id=position.position_id,
            decided_us=decided_us,
            reason="flattened by hand",
            breaks_policy="flatten",
        )
        owner = Owner(strategy=book.name, uid=book.uid, epoch=max(order.epoch for order in orders))
        self._desk.place(intent, owner, lot_size=position.lot_size, time_us=decided_us)
        return key

    async def _over(self, keys: list[str]) -> bool:
        try:
            async with asyncio.timeout(_CANCELLED_WITHIN_S):
                while any(key in book.live for key in keys for book in self._book.strategies.values()):
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            return False
        return True

    def _on_step(self, uid: str) -> None:
        self._stepped.set()
        book = self._book.strategies.get(uid)
        if uid in self._desk.flattening and book is not None and not book.positions:
            self._desk.flattening.discard(uid)

    def _orders(self, strategy: str | None) -> tuple[KnownOrder, ...]:
        uids = {book.uid for book in self._books(strategy)}
        orders = [order for order in self._book.orders.values() if order.strategy_uid in uids]
        return tuple(order.known() for order in orders[-_ORDERS_MAXIMUM:])

    def _positions(self, strategy: str | None) -> list[dict[str, object]]:
        return [
            {
                "strategy": book.name,
                "position_id": position.position_id,
                "symbol": position.symbol,
                "lots": position.lots,
                "bought": position.bought,
                "sold": position.sold,
                "fees": position.fees,
                "opened_us": position.opened_us,
                "unrealised_pnl": position.unrealised(self._quotes.prices.get(position.symbol)),
            }
            for book in self._books(strategy)
            for position in _held(book)
        ]

    async def _statement(self, strategy: str | None) -> CommandResult:
        """The venue's own figures beside the journal's."""
        try:
            with self._desk.working():
                balance: VenueBalance = await self._desk.request(
                    "balance", "admin", Priority.REDUCES_RISK, self._venue.balance
                )
        except VenueError as error:
            return CommandResult(ok=False, message=f"the venue does not answer: {error}")
        fills: list[Fill] = [fill for order in self._book.orders.values() for fill in order.fills]
        statement = {
            "cash": balance.cash,
            "holdings": balance.positions,
            "halts": self._book.halts,
            "holds": {name: hold.reason for name, hold in self._book.holds.items()},
            "blocked": self._desk.blocked,
            "strategies": {book.name: {"realised_pnl": book.realised} for book in self._books(strategy)},
            "positions": self._positions(strategy),
        }
        return CommandResult(ok=True, message=_json(statement), fills=tuple(fills[-_ORDERS_MAXIMUM:]))


def _held(book: StrategyBook) -> list[Position]:
    return [position for position in book.positions.values() if position.lots > 0]


def _whom(command: Command) -> str:
    return command.strategy or "the whole account"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
