"""Tells Redis and who asks the HTTP port, once a second, what the strategy is doing and why it is not trading."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from christmas.execution.engine import Engine
from christmas.runtime import metrics
from christmas.telemetry import crash
from christmas.telemetry.status import RuntimeStatus, status_key

logger = logging.getLogger(__name__)

EVERY_S: Final = 1.0
_DEADLINE_S: Final = 2.0
_KEEP_S: Final = 60


class StatusWriter:
    """Writes `RuntimeStatus` where the fleet, the dashboard and the bot read it; Redis being away is no matter."""

    def __init__(
        self, redis: Redis, market: str, strategy: str, epoch: int, engine: Engine, *, show: Callable[[bytes], None]
    ) -> None:
        """``show`` puts it at the process's HTTP port."""
        self._redis = redis
        self._show = show
        self._key = status_key(market, strategy)
        self._epoch = epoch
        self._engine = engine

    async def keep_writing(self) -> None:
        while True:
            await self.write()
            await asyncio.sleep(EVERY_S)

    async def write(self, state: Literal["Ended"] | None = None) -> None:
        """Once; ``state`` overrides what the engine says of itself."""
        status = msgspec.structs.replace(self._engine.status(), epoch=self._epoch)
        if state is not None:
            status = msgspec.structs.replace(status, state=state, why="the process has ended")
        _export(status)
        encoded = msgspec.json.encode(status)
        self._show(encoded)
        crash.point("runtime.status.write")
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await self._redis.set(self._key, encoded, ex=_KEEP_S)
        except (RedisError, OSError, TimeoutError, RuntimeError) as error:
            # RuntimeError: uvloop's word for a connection that broke while nobody looked.
            logger.debug("the status was not written", extra={"error": str(error)})
        else:
            crash.point("runtime.status.written")


def _export(status: RuntimeStatus) -> None:
    metrics.POSITIONS.set(len(status.positions))
    metrics.REALISED.set(float(status.realised_pnl))
    metrics.UNREALISED.set(float(status.unrealised_pnl))
    metrics.CLOSED.set(status.closed_trades)
