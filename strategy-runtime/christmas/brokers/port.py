"""The two ports behind which every venue stands: where orders go, and where ticks come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from christmas.execution.order import Fill, OrderIntent, OrderStatus
from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick as FeedTick  # noqa: PLC0414 (re-exported: feeds speak in it)
from christmas.market.tick import Tick


class VenueError(Exception):
    """The venue did not do what was asked."""


class VenueRejected(VenueError):
    """The venue refused for good, in its own words: the order is not there and will not be."""


class VenueAmbiguous(VenueError):
    """No answer, or one that proves nothing (timeout, disconnect, 5xx, unparsable).

    The request may have been carried out: query, then decide.
    """


class VenueRateLimited(VenueError):
    """429: refused before it was looked at, so nothing was done. Wait ``retry_after_s``."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue sees it."""

    client_order_id: str
    venue_order_id: str
    status: OrderStatus
    filled_lots: int
    leaves_lots: int
    reason: str = ""
    effective_us: int = 0
    """Of its last change, as in `VenueReport`; 0: the venue does not tell, or there was none."""


class VenueReport(msgspec.Struct, frozen=True, kw_only=True):
    """A change that the venue tells of its own accord, possibly late, twice or out of order.

    ``effective_us``: market time from which the account holder knows it (0: now).
    """

    order: VenueOrder
    fill: Fill | None = None
    time_us: int
    effective_us: int = 0


class VenueBalance(msgspec.Struct, frozen=True, kw_only=True):
    cash: Decimal
    """Quote currency, fees deducted."""
    positions: dict[str, int]
    """Lots by symbol."""


ReportHandler = Callable[[VenueReport], None]


class Venue(Protocol):
    """One account at one venue. Every call may raise `VenueError`; callers set the deadline."""

    async def connect(self, on_report: ReportHandler) -> None:
        """Start the session; reports go to ``on_report`` from now on."""

    async def close(self) -> None: ...

    async def instruments(self) -> dict[str, Instrument]: ...

    async def fees(self) -> Fees: ...

    async def submit(self, intent: OrderIntent) -> VenueOrder:
        """Place an order. The same client order id again is answered with the first order."""

    async def cancel(self, client_order_id: str, decided_us: int = 0) -> VenueOrder:
        """Withdraw an order; a final one is answered as it is. VenueRejected when not there.

        ``decided_us`` is the market time of the decision: a simulated venue lets the cancel arrive
        its order latency later and then reports it, so live equals lock-step; real ones ignore it.
        0: at once.
        """

    async def query(self, client_order_id: str) -> VenueOrder | None:
        """The order, or None when the venue is sure that it has never had it."""

    async def open_orders(self) -> Sequence[VenueOrder]: ...

    async def fills(self, since_us: int) -> Sequence[Fill]:
        """All fills of the account at or after ``since_us`` (market time), oldest first."""

    async def balance(self) -> VenueBalance: ...


class FeedProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a feed that ends has come."""

    done: int
    total: int | None
    time_us: int


class Feed(Protocol):
    """Where a gateway's ticks come from."""

    def batches(self) -> AsyncIterator[Sequence[FeedTick]]:
        """Prints that arrived together, in the order of arrival. Ends when the market has ended."""

    async def close(self) -> None: ...


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """The last print of a symbol that a simulated venue has taken in and written down."""

    time_us: int
    trade_ids: tuple[str, ...]
    """All prints of that microsecond that it has taken in, the last one last."""
    ticks: int
    """Prints taken in since the venue's ledger began."""


class SimulatedVenue(Venue, Protocol):
    """A venue of our own that is moved by the ticks which the gateway shows it."""

    def on_ticks(self, ticks: Sequence[Tick], clock_us: int) -> None:
        """Match open orders against prints; reports go to the handler before this returns."""

    def on_clock(self, clock_us: int) -> None: ...

    def next_event_us(self) -> int | None:
        """Market time of the next thing that a clock alone brings (an order or a cancel arrives)."""

    def last_tick(self, symbol: str) -> FeedPosition | None:
        """Where the ledger stands: after a kill, prints up to there have no effect again."""
