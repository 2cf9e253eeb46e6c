"""Writes down what a market's volumes count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from christmas.market.instrument import Instrument

if TYPE_CHECKING:
    from asyncpg import Connection


async def register_instruments(connection: Connection, market: str, instruments: Iterable[Instrument]) -> None:
    """Insert or update them. A changed lot size holds from behind the last stored tick on."""
    async with connection.transaction():
        for instrument in instruments:
            await _register(connection, market, instrument)


async def _register(connection: Connection, market: str, instrument: Instrument) -> None:
    hours = None if instrument.trading_hours is None else msgspec.json.encode(instrument.trading_hours).decode()
    values = (
        instrument.price_increment,
        instrument.minimum_notional,
        instrument.minimum_lots,
        instrument.maximum_lots,
        hours,
    )
    updated = await connection.execute(
        """
        UPDATE instruments SET price_increment = $4, minimum_notional = $5, minimum_lots = $6, maximum_lots = $7,
                               trading_hours = $8::jsonb, updated_at = now()
        WHERE market = $1 AND symbol = $2 AND lot_size = $3
          AND valid_from = (SELECT max(valid_from) FROM instruments WHERE market = $1 AND symbol = $2)
        """,
        market,
        instrument.symbol,
        instrument.lot_size,
        *values,
    )
    if updated != "UPDATE 0":
        return
    await connection.execute(
        """
        INSERT INTO instruments (market, symbol, valid_from, lot_size, price_increment, minimum_notional, minimum_lots,
                                 maximum_lots, trading_hours)
        SELECT $1, $2, CASE
                   WHEN NOT EXISTS (SELECT FROM instruments WHERE market = $1 AND symbol = $2)
                   THEN '-infinity'::timestamptz
                   ELSE (SELECT max(moment) FROM (
                       SELECT time + INTERVAL '1 microsecond' AS moment
                       FROM watermarks WHERE market = $1 AND symbol = $2
                       UNION ALL
                       SELECT CASE WHEN isfinite(valid_from) THEN valid_from + INTERVAL '1 microsecond'
                                   ELSE TIMESTAMPTZ 'epoch' END
                       FROM instruments WHERE market = $1 AND symbol = $2
                   ) AS moments) END,
               $3, $4, $5, $6, $7, $8::jsonb
        """,
        market,
        instrument.symbol,
        instrument.lot_size,
        *values,
    )
