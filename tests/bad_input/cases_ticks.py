"""Prints that a feed hands over and the market does not take: ``give`` are rows of a replayed CSV file."""

from __future__ import annotations

from tests.bad_input.case import Case, Section

HEADER = "time,symbol,trade_id,price,quantity,side\n"
_T0_MS = 1_700_000_000_000


def row(after_ms: int, trade_id: str, price: str = "60000.00", quantity: str = "0.5") -> str:
    return f"{_T0_MS + after_ms},BTC/USDT,{trade_id},{price},{quantity},buy"


GOOD = (row(0, "g1"), row(1_000, "g2"), row(2_000, "g3"))
"""Come first; what is told of the others is told against these."""
LAST = (row(9_000, "g4"), row(9_500, "g5"))
"""Come last, and are taken: what was refused between has hurt nothing."""

SECTION = Section(
    title="Ticks",
    given="a print in a file that the gateway replays",
    after="the print is in the stream `quarantine:<market>` and counted by reason, in no bar and not at the simulated venue; the prints after it are taken",
    cases=(
        Case(
            "tick-increment",
            "a price between two increments",
            row(3_000, "b1", "60000.001"),
            message="OffIncrement: price 60000.001 is no multiple of 0.01",
        ),
        Case(
            "tick-lots",
            "a quantity of half a lot",
            row(3_000, "b2", quantity="0.000005"),
            message="NotWholeLots: quantity 0.000005 is not in lots of 0.00001",
        ),
        Case("tick-no-volume", "a trade of nothing", row(3_000, "b3", quantity="0"), message="BadQuantity: quantity 0"),
        Case(
            "tick-volume-huge",
            "more than 63 bits of lots",
            row(3_000, "b4", quantity="1e20"),
            message="BadQuantity: quantity 1E+20 is too large",
        ),
        Case(
            "tick-volume-digits",
            "a quantity of 10,000 digits",
            row(3_000, "b5", quantity="1e9999"),
            message="BadQuantity: quantity 1E+9999 is too large",
        ),
        Case(
            "tick-price-digits",
            "a price of 10,000 digits",
            row(3_000, "b6", "1e9999"),
            message="BadPrice: price 1E+9999 is too large to be exact",
        ),
        Case(
            "tick-absurd-up",
            "ten times the last price",
            row(3_000, "b7", "600000.00"),
            message="AbsurdMove: price 600000.00 after 60000.00: 1 of 3 confirm it",
        ),
        Case(
            "tick-absurd-down",
            "a hundredth of the last price",
            row(3_000, "b8", "600.00"),
            message="AbsurdMove: price 600.00 after 60000.00: 1 of 3 confirm it",
        ),
        Case(
            "tick-again",
            "a refused print again",
            row(3_000, "b8", "600.00"),
            message="AbsurdMove: refused before; delivered again",
        ),
        Case(
            "tick-id-long",
            "a trade id of 65 characters",
            row(3_000, "x" * 65),
            message="BadTradeId: a trade id of 65 characters",
        ),
        Case(
            "tick-conflict",
            "a known trade id with another price",
            row(1_000, "g2", "60001.00"),
            message="TradeIdConflict: trade g2 was 50000 lots at 60000.00 (1700000001000000), now 50000 at 60001.00 (1700000001000000)",
        ),
        Case(
            "tick-old",
            "a print from an hour before",
            row(-3_600_000, "b9"),
            message="TimeTooOld: 3602000000 µs behind the newest print",
        ),
        Case(
            "tick-first-of-all",
            "a print from 1970",
            "1,BTC/USDT,b10,60000.00,0.5,buy",
            message="TimeTooOld: 1700000001000000 µs behind the newest print",
        ),
        Case(
            "tick-far-future",
            "a print of the year 5000",
            "95617584000000,BTC/USDT,b11,60000.00,0.5,buy",
            message="TimeInFuture: 86610384745259008 µs later than the latest that can be",
        ),
    ),
)
