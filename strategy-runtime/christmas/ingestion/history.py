"""What was recorded, read back: ticks, bars, and what a report of trading is made from.

Every function takes an asyncpg pool and has a deadline; it raises TimeoutError or what the driver raises.
Times are UTC microseconds, spans half-open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from christmas.execution.order import OrderStatus
from christmas.ingestion.moments import interval, microseconds, moment
from christmas.market.bar import Bar
from christmas.market.tick import MICROSECONDS_PER_SECOND, Tick

if TYPE_CHECKING:
    from asyncpg import Connection, Pool

_DEADLINE_S: Final = 30.0
_PAGE: Final = 2_000

# The order of `christmas.market.trade_order.tick_key` within one moment.
_IS_NUMBER: Final = "trade_id ~ '^[0-9]+$'"
_TRADE_ORDER: Final = (
    f"(CASE WHEN {_IS_NUMBER} THEN 0 ELSE 1 END), (CASE WHEN {_IS_NUMBER} THEN trade_id::numeric END), trade_id"
)
_TRADE_ORDER_BACKWARDS: Final = (
    f"(CASE WHEN {_IS_NUMBER} THEN 0 ELSE 1 END) DESC, "
    f"(CASE WHEN {_IS_NUMBER} THEN trade_id::numeric END) DESC NULLS LAST, trade_id DESC"
)


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``orders``: the sums over its fills are exact, in quote currency."""

    market: str
    broker: str
    strategy: str
    strategy_uid: str
    epoch: int
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    purpose: str
    position_id: str
    price: Decimal | None
    lots: int
    lot_size: Decimal
    filled_lots: int
    filled_notional: Decimal
    fees: Decimal
    status: OrderStatus
    reason: str
    status_reason: str
    breaks_policy: str | None
    cancel_reason: str | None
    decided_us: int
    updated_us: int


class FillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``fills``."""

    market: str
    broker: str
    strategy: str
    fill_id: str
    client_order_id: str
    position_id: str
    purpose: str
    symbol: str
    side: str
    price: Decimal
    lots: int
    lot_size: Decimal
    fee: Decimal
    liquidity: str
    time_us: int
    sequence: int


class SignalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``signals``: a rule fired, and an order was made of it or not."""

    market: str
    broker: str
    strategy: str
    symbol: str
    signal: str
    taken: bool
    reason: str
    time_us: int
    sequence: int


class PricePoint(msgspec.Struct, frozen=True, gc=False):
    """One print on a symbol's way; ``low`` and ``high`` differ from ``price`` only where it stands for a bar."""

    time_us: int
    price: Decimal
    low: Decimal
    high: Decimal


class TickCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a market is recorded."""

    stored: dict[str, int]
    """By symbol, counted in the table."""
    late: int
    quarantined: int

    @property
    def total(self) -> int:
        return sum(self.stored.values())


async def load_ticks(pool: Pool, market: str, symbol: str, from_us: int, to_us: int) -> AsyncIterator[Tick]:
    """The ticks with ``from_us <= time_us < to_us``, late ones included, in the order of the market."""
    query = f"""
        SELECT time, trade_id, price, volume, taker_side, open, high, low, late FROM ticks
        WHERE market = $1 AND symbol = $2 AND time >= $3 AND time < $4 ORDER BY time, {_TRADE_ORDER}
    """  # noqa: S608 (only constants are put in)
    async for row in _pages(pool, query, market, symbol, moment(from_us), moment(to_us)):
        yield Tick(
            time_us=microseconds(row["time"]),
            symbol=symbol,
            trade_id=row["trade_id"],
            price=row["price"],
            lots=row["volume"],
            taker_side=row["taker_side"],
            open=row["open"],
            high=row["high"],
            low=row["low"],
            late=row["late"],
        )


_BARS: Final = f"""
SELECT start, (array_agg(coalesce(open, price) ORDER BY time, {_TRADE_ORDER}))[1] AS open,
       max(coalesce(high, price)) AS high, min(coalesce(low, price)) AS low,
       (array_agg(price ORDER BY time DESC, {_TRADE_ORDER_BACKWARDS}))[1] AS close,
       sum(volume)::bigint AS lots,
       coalesce(sum(volume) FILTER (WHERE taker_side = 'buy'), 0)::bigint AS buy_lots,
       coalesce(sum(volume) FILTER (WHERE taker_side = 'sell'), 0)::bigint AS sell_lots,
       sum(price * volume) AS price_lots, count(*) AS ticks
FROM (SELECT date_bin($5, time, TIMESTAMPTZ 'epoch') AS start, * FROM ticks
      WHERE market = $1 AND symbol = $2 AND time >= $3 AND time < $4 AND NOT late) AS of_bars
GROUP BY start ORDER BY start DESC LIMIT $6
"""  # noqa: S608 (only constants are put in)


async def load_bars(pool: Pool, market: str, symbol: str, timeframe_us: int, count: int, until_us: int) -> list[Bar]:  # noqa: PLR0917
    """The last ``count`` bars that end by ``until_us``, oldest first: those of `christmas.market.bars`, exactly.

    Intervals without a tick have no bar, so the search goes back until there are enough or nothing is
    older. Raises ValueError unless ``timeframe_us`` is a whole number of seconds.
    """
    if timeframe_us <= 0 or timeframe_us % MICROSECONDS_PER_SECOND:
        raise ValueError(f"a bar lasts a whole number of seconds, not {timeframe_us} us")
    if count <= 0:
        return []
    end_us = until_us - until_us % timeframe_us
    async with asyncio.timeout(_DEADLINE_S), pool.acquire() as connection:
        first, last = await _span(connection, market, symbol, end_us)
        if first is None or last is None:
            return []
        # From the last tick on: a market that has been silent for a day costs nothing.
        end_us = min(end_us, last - last % timeframe_us + timeframe_us)
        from_us, width = end_us, count * timeframe_us
        rows: list[Any] = []
        while len(rows) < count and from_us > first:
            from_us = max(end_us - width, first - first % timeframe_us)
            rows = await connection.fetch(
                _BARS, market, symbol, moment(from_us), moment(end_us), interval(timeframe_us), count
            )
            width *= 4
    return [_bar(row, symbol, timeframe_us) for row in reversed(rows)]


async def load_orders(pool: Pool, session_id: str, *, strategy: str | None = None) -> list[OrderRecord]:
    """A session's orders in the order of their decisions, of one strategy or of all."""
    rows = await _fetch(
        pool,
        """
        SELECT * FROM orders WHERE session_id = $1 AND ($2::text IS NULL OR strategy = $2)
        ORDER BY decided_at, market, sequence, client_order_id
        """,
        session_id,
        strategy,
    )
    return [
        OrderRecord(
            **{name: row[name] for name in _ORDER_COLUMNS},
            status=OrderStatus(row["status"]),
            decided_us=microseconds(row["decided_at"]),
            updated_us=microseconds(row["updated_at"]),
        )
        for row in rows
    ]


async def load_fills(pool: Pool, session_id: str, *, strategy: str | None = None) -> list[FillRecord]:
    """A session's fills in market time (within a moment, in the journal's order), of one strategy or of all."""
    rows = await _fetch(
        pool,
        """
        SELECT * FROM fills WHERE session_id = $1 AND ($2::text IS NULL OR strategy = $2)
        ORDER BY time, market, sequence
        """,
        session_id,
        strategy,
    )
    return [
        FillRecord(**{name: row[name] for name in _FILL_COLUMNS}, time_us=microseconds(row["time"])) for row in rows
    ]


async def load_signals(pool: Pool, session_id: str, *, strategy: str | None = None) -> list[SignalRecord]:
    """A session's signals in market time, of one strategy or of all."""
    rows = await _fetch(
        pool,
        """
        SELECT * FROM signals WHERE session_id = $1 AND ($2::text IS NULL OR strategy = $2)
        ORDER BY time, market, sequence
        """,
        session_id,
        strategy,
    )
    return [
        SignalRecord(**{name: row[name] for name in _SIGNAL_COLUMNS}, time_us=microseconds(row["time"])) for row in rows
    ]


async def tick_counts(pool: Pool, market: str) -> TickCounts:
    """Counted in the tables themselves, not taken from what the recorder believes."""
    rows = await _fetch(
        pool,
        """
        SELECT symbol, count(*) AS ticks, count(*) FILTER (WHERE late) AS late
        FROM ticks WHERE market = $1 GROUP BY symbol
        """,
        market,
    )
    quarantined = await _fetch(pool, "SELECT count(*) AS ticks FROM quarantined_ticks WHERE market = $1", market)
    return TickCounts(
        stored={row["symbol"]: row["ticks"] for row in rows},
        late=sum(row["late"] for row in rows),
        quarantined=quarantined[0]["ticks"],
    )


async def first_prices(pool: Pool, market: str) -> dict[str, Decimal]:
    """By symbol the market's first price: where buy-and-hold starts."""
    return await _edge_prices(pool, market, f"time, {_TRADE_ORDER}", "coalesce(open, price)")


async def last_prices(pool: Pool, market: str) -> dict[str, Decimal]:
    """By symbol the market's last price, late ticks left aside as they are in bars."""
    return await _edge_prices(pool, market, f"time DESC, {_TRADE_ORDER_BACKWARDS}", "price")


async def price_path(
    pool: Pool, market: str, symbol: str, from_us: int | None = None, to_us: int | None = None
) -> AsyncIterator[PricePoint]:
    """Every price of a symbol in the order of the market, late ticks left aside."""
    query = f"""
        SELECT time, price, coalesce(low, price) AS low, coalesce(high, price) AS high FROM ticks
        WHERE market = $1 AND symbol = $2 AND NOT late AND ($3::timestamptz IS NULL OR time >= $3)
          AND ($4::timestamptz IS NULL OR time < $4)
        ORDER BY time, {_TRADE_ORDER}
    """  # noqa: S608 (only constants are put in)
    start, end = (None if time_us is None else moment(time_us) for time_us in (from_us, to_us))
    async for row in _pages(pool, query, market, symbol, start, end):
        yield PricePoint(microseconds(row["time"]), row["price"], row["low"], row["high"])


_ORDER_COLUMNS: Final = tuple(
    name for name in OrderRecord.__struct_fields__ if name not in ("status", "decided_us", "updated_us")
)
_FILL_COLUMNS: Final = tuple(name for name in FillRecord.__struct_fields__ if name != "time_us")
_SIGNAL_COLUMNS: Final = tuple(name for name in SignalRecord.__struct_fields__ if name != "time_us")


async def _edge_prices(pool: Pool, market: str, order: str, price: str) -> dict[str, Decimal]:
    # Symbols are taken from the watermarks: finding them in the ticks would read the whole table.
    query = f"""
        SELECT symbol, edge.price FROM (SELECT symbol FROM watermarks WHERE market = $1) AS known, LATERAL (
            SELECT {price} AS price FROM ticks
            WHERE market = $1 AND ticks.symbol = known.symbol AND NOT late ORDER BY {order} LIMIT 1
        ) AS edge
    """  # noqa: S608 (only constants are put in)
    return {row["symbol"]: row["price"] for row in await _fetch(pool, query, market)}


async def _span(connection: Connection, market: str, symbol: str, end_us: int) -> tuple[int | None, int | None]:
    """The times of the first and the last tick before ``end_us`` that bars are made of."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT time FROM ticks WHERE market = $1 AND symbol = $2 AND time < $3 AND NOT late
                ORDER BY time LIMIT 1) AS first,
               (SELECT time FROM ticks WHERE market = $1 AND symbol = $2 AND time < $3 AND NOT late
                ORDER BY time DESC LIMIT 1) AS last
        """,
        market,
        symbol,
        moment(end_us),
    )
    return tuple(None if when is None else microseconds(when) for when in (row["first"], row["last"]))  # type: ignore[return-value]


def _bar(row: Any, symbol: str, timeframe_us: int) -> Bar:
    start_us = microseconds(row["start"])
    return Bar(
        symbol=symbol,
        start_us=start_us,
        end_us=start_us + timeframe_us,
        open=row["open"],
        high=row["high"],
        low=row["low"],
        close=row["close"],
        lots=row["lots"],
        buy_lots=row["buy_lots"],
        sell_lots=row["sell_lots"],
        price_lots=row["price_lots"],
        ticks=row["ticks"],
    )


async def _fetch(pool: Pool, query: str, *values: object) -> list[Any]:
    async with asyncio.timeout(_DEADLINE_S), pool.acquire() as connection:
        return list(await connection.fetch(query, *values))


async def _pages(pool: Pool, query: str, *values: object) -> AsyncIterator[Any]:
    """A query's rows without holding all of them; each page has a deadline, the reader may take its time."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(_DEADLINE_S):
            connection = await stack.enter_async_context(pool.acquire())
            await stack.enter_async_context(connection.transaction(readonly=True))
            cursor = await connection.cursor(query, *values)
        while True:
            async with asyncio.timeout(_DEADLINE_S):
                rows = await cursor.fetch(_PAGE)
            for row in rows:
                yield row
            if len(rows) < _PAGE:
                return
