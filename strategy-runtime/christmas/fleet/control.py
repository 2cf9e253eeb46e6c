"""Between the command line and the supervisor: one JSON line there, one back, over a unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from christmas.brokers.admin import CommandName
from christmas.execution.order import Fill
from christmas.execution.protocol import KnownOrder
from christmas.fleet.errors import FleetError, NotRunningError
from christmas.fleet.view import FleetView
from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy
from christmas.telemetry.listener import listen_at
from christmas.telemetry.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

MAXIMUM_LINE_BYTES: Final = 32 * 1024 * 1024
_ANSWER_WITHIN_S: Final = 60.0
_CLIENTS_MAXIMUM: Final = 32


class _Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="verb"):
    """Every request names its verb."""


class GetFleet(_Request, frozen=True, kw_only=True, tag="fleet"):
    pass


class Apply(_Request, frozen=True, kw_only=True, tag="apply"):
    strategies: tuple[Strategy, ...] = ()
    brokers: tuple[Broker, ...] = ()


class SetState(_Request, frozen=True, kw_only=True, tag="set_state"):
    name: str
    state: Literal["Running", "Suspended"]


class Delete(_Request, frozen=True, kw_only=True, tag="delete"):
    kind: Literal["Strategy", "Broker"]
    name: str
    force: bool = False
    """Also with open positions, which then stay as they are."""


class AtGateway(_Request, frozen=True, kw_only=True, tag="gateway"):
    broker: str
    action: CommandName
    strategy: str | None = None
    reason: str = ""


class Shutdown(_Request, frozen=True, kw_only=True, tag="shutdown"):
    pass


Request = GetFleet | Apply | SetState | Delete | AtGateway | Shutdown


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    ok: bool = True
    what: str = ""
    mend: str = ""
    lines: tuple[str, ...] = ()
    """What was done, a line for each thing."""
    fleet: FleetView | None = None
    orders: tuple[KnownOrder, ...] = ()
    fills: tuple[Fill, ...] = ()


_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(Request)
_answers = msgspec.json.Decoder(Answer)


class ControlServer:
    """Answers requests one after the other within a connection; who may open the socket may command."""

    def __init__(self, path: Path, handle: Callable[[Request], Awaitable[Answer]]) -> None:
        self._path = path
        self._handle = handle
        self._server: asyncio.AbstractServer | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listen_at(self._path), limit=MAXIMUM_LINE_BYTES
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._clients:
                writer.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= _CLIENTS_MAXIMUM:
            writer.close()
            return
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                writer.write(_encoder.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:
            logger.warning("a control connection broke", extra={"error": str(error)})
        finally:
            self._clients.discard(writer)
            with contextlib.suppress(OSError):
                writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            return await self._handle(_requests.decode(line))
        except FleetError as error:
            return Answer(ok=False, what=error.what, mend=error.mend)
        except UNREADABLE as error:
            return Answer(ok=False, what=f"not understood: {error}", mend="is this command line of another version?")
        except Exception as error:
            logger.exception("a request failed")
            return Answer(ok=False, what=f"{type(error).__name__}: {error}", mend="see the supervisor's log")


async def ask(path: Path, request: Request, *, within_s: float = _ANSWER_WITHIN_S) -> Answer:
    """The supervisor's answer; raises NotRunningError when none listens, FleetError when it says no."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=MAXIMUM_LINE_BYTES)
            try:
                writer.write(_encoder.encode(request) + b"\n")
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionError) as error:
        raise NotRunningError("no fleet runs from this state folder", "start one with `christmas up`") from error
    except TimeoutError as error:
        raise FleetError(
            f"the supervisor has not answered within {within_s:.0f} s", "see `christmas doctor`"
        ) from error
    if not line:
        raise FleetError("the supervisor closed the connection without an answer", "see `christmas doctor`")
    answer = _answers.decode(line)
    if not answer.ok:
        raise FleetError(answer.what, answer.mend)
    return answer
