"""What a Broker's settings mean to the paper venue, parsed once."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument
from christmas.resources.broker import BrokerSpec, Faults, InstrumentSpec
from christmas.resources.meta import duration_us, fraction


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of the simulated exchange; spans in µs of market time, rates as fractions."""

    instruments: dict[str, Instrument]
    fees: Fees
    cash: Decimal
    order_latency_us: int
    report_latency_us: int
    participation: Decimal
    queue_window_us: int
    faults: Faults


def terms_of(broker: BrokerSpec) -> Terms:
    paper = broker.paper
    return Terms(
        instruments={spec.symbol: instrument_of(spec) for spec in broker.instruments},
        fees=Fees(maker=fraction(broker.fees.maker), taker=fraction(broker.fees.taker)),
        cash=Decimal(paper.cash),
        order_latency_us=duration_us(paper.order_latency),
        report_latency_us=duration_us(paper.report_latency),
        participation=fraction(paper.participation),
        queue_window_us=duration_us(paper.queue_window),
        faults=paper.faults,
    )


def instrument_of(spec: InstrumentSpec) -> Instrument:
    return Instrument(
        symbol=spec.symbol,
        price_increment=Decimal(spec.price_increment),
        lot_size=Decimal(spec.lot_size),
        minimum_notional=Decimal(spec.minimum_notional),
        minimum_lots=spec.minimum_lots,
        maximum_lots=spec.maximum_lots,
        trading_hours=spec.trading_hours,
    )
