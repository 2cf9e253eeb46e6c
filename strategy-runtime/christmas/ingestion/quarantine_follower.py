"""Copies the prints that a market's gateway quarantined into the database."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from redis.asyncio import Redis

from christmas.ingestion import metrics
from christmas.ingestion.bulk import insert
from christmas.ingestion.copy import EARLIEST_US, LATEST_US
from christmas.ingestion.database import connect
from christmas.ingestion.moments import moment
from christmas.ingestion.retry import Attempts, Reason, keep_trying, sleep_until
from christmas.market.stream import QUARANTINE_FIELD, Quarantined, quarantine_key
from christmas.telemetry import crash
from christmas.telemetry.unreadable import UNREADABLE

if TYPE_CHECKING:
    from asyncpg import Connection

_BATCH: Final = 1_000
_REDIS_DEADLINE_S: Final = 5.0
_decoder: Final = msgspec.json.Decoder(Quarantined)

QUARANTINE_COLUMNS: Final = {
    "market": "text",
    "entry_id": "text",
    "symbol": "text",
    "reason": "text",
    "noted_at": "timestamptz",
    "payload": "text",
}
Row = tuple[str, str, str, str, object, str]


class QuarantineFollower:
    """Reads the whole stream at each start (it is bounded) and stores what is not stored yet."""

    def __init__(
        self,
        *,
        redis: Redis,
        database_url: str,
        market: str,
        stopping: asyncio.Event,
        reason: Reason,
        interval_s: float = 0.5,
    ) -> None:
        self._redis = redis
        self._database_url = database_url
        self._market = market
        self._stopping = stopping
        self._reason = reason
        self._interval_s = interval_s
        metrics.QUARANTINED.labels(market)  # begins at 0: rate() sees the first, too

    async def run(self) -> None:
        """Copy until stopped, and then what still is in Redis."""
        await keep_trying(
            self._record, market=self._market, part="quarantine", stopping=self._stopping, reason=self._reason
        )

    async def _record(self, attempts: Attempts) -> None:
        position = b"-"
        async with connect(self._database_url, f"quarantine-{self._market}") as connection:
            while True:
                was_stopping = self._stopping.is_set()
                async with asyncio.timeout(_REDIS_DEADLINE_S):
                    entries = await self._redis.xrange(quarantine_key(self._market), min=position, count=_BATCH)
                if entries:
                    await self._store(connection, entries)
                    position = b"(" + entries[-1][0]
                attempts.worked()
                self._reason(None)
                if len(entries) == _BATCH:
                    continue
                if was_stopping:
                    return
                await sleep_until(self._stopping, self._interval_s)

    async def _store(self, connection: Connection, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        crash.point("recorder.quarantine.store")
        rows = [quarantine_row(self._market, identity, fields) for identity, fields in entries]
        await insert(connection, "quarantined_ticks", QUARANTINE_COLUMNS, rows)
        crash.point("recorder.quarantine.stored")
        metrics.QUARANTINED.labels(self._market).inc(len(rows))


def quarantine_row(market: str, identity: bytes, fields: dict[bytes, bytes]) -> Row:
    """The row of one entry. Its id holds a digest, since numbers begin again when Redis has lost its data."""
    payload = fields.get(QUARANTINE_FIELD.encode(), b"")
    entry_id = f"{identity.decode()}/{hashlib.sha256(payload).hexdigest()[:16]}"
    text = payload.decode(errors="backslashreplace").replace("\0", "\\0")
    try:
        entry = _decoder.decode(payload)
    except (*UNREADABLE, ValueError) as error:
        return (market, entry_id, "", f"Unreadable: {error}", moment(0), text)
    noted_us = min(max(entry.received_us, EARLIEST_US), LATEST_US)
    symbol = entry.print.symbol.replace("\0", "\\0")
    return (market, entry_id, symbol, entry.reason, moment(noted_us), text)
