"""How large an entry is: a pure function of capital, price and the instrument's minimums."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from christmas.execution.accounting import notional
from christmas.execution.config import CapitalConfig
from christmas.market.instrument import Instrument


class Size(msgspec.Struct, frozen=True):
    """Lots to buy, or (with 0 lots) why none."""

    lots: int
    refusal: str = ""


def capital_left(capital: CapitalConfig, realised_pnl: Decimal, locked: Decimal) -> Decimal:
    """What may still be locked: ``amount``, less realised losses, less what is locked; in quote currency.

    Realised profits do not raise it: the permit binds the strategy to ``amount``, and the gateway would deny more.
    """
    return capital.amount + min(realised_pnl, Decimal(0)) - locked


def is_tradable(instrument: Instrument, price: Decimal, lots: int) -> bool:
    """Whether a venue takes an order of ``lots`` at ``price``: not below its minimums."""
    return lots >= instrument.minimum_lots and notional(price, instrument.lot_size, lots) >= instrument.minimum_notional


def size_entry(
    instrument: Instrument,
    price: Decimal,
    *,
    capital: CapitalConfig,
    left: Decimal,
    lots: int | None = None,
    wanted_notional: Decimal | None = None,
) -> Size:
    """Lots of an entry at ``price``.

    ``lots`` or ``wanted_notional`` are the strategy's own wish; none means ``capital.per_trade``. A wish above
    ``per_trade`` is refused (the gateway would deny it); a size above ``left`` is cut to what is left.
    """
    if price <= 0:
        return Size(0, f"a price of {price} buys nothing")
    if lots is None:
        asked = capital.per_trade if wanted_notional is None else wanted_notional
        lots = instrument.lots_floor(asked / price)
    else:
        asked = notional(price, instrument.lot_size, lots)
    if asked > capital.per_trade:
        return Size(0, f"asks for {asked} {instrument.quote}, capital.perTrade is {capital.per_trade}")
    affordable = instrument.lots_floor(left / price) if left > 0 else 0
    lots = min(lots, affordable)
    if instrument.maximum_lots is not None:
        lots = min(lots, instrument.maximum_lots)
    if lots > 0 and is_tradable(instrument, price, lots):
        return Size(lots)
    if affordable < max(1, instrument.minimum_lots) or left < instrument.minimum_notional:
        return Size(0, f"capital used: {max(left, Decimal(0))} of {capital.amount} {instrument.quote} left")
    return Size(
        0,
        f"{lots} lots at {price} are below the venue's minimum of {instrument.minimum_lots} lots "
        f"and {instrument.minimum_notional} {instrument.quote}",
    )
