"""Rows of text to prints: which column is what is told by the header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import chain, islice, pairwise
from typing import Final

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.times import parse_time_us
from christmas.market.raw import FeedTick

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "datetime", "date", "ts", "open_time", "transact_time", "trade_time", "t"),
    "symbol": ("symbol", "pair", "market", "instrument", "s"),
    "trade_id": ("trade_id", "id", "tid", "tradeid", "agg_trade_id", "a"),
    "price": ("price", "p", "rate"),
    "quantity": ("quantity", "qty", "amount", "size", "volume", "q"),
    "taker_side": ("taker_side", "side", "taker"),
    "buyer_is_maker": ("is_buyer_maker", "isbuyermaker", "buyer_is_maker", "m"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "quantity", "amount"),
}
_SIDES: Final = {"buy": "buy", "b": "buy", "sell": "sell", "s": "sell", "": None}
_TRUTHS: Final = {"true": "sell", "1": "sell", "false": "buy", "0": "buy"}
_ROWS_TO_TELL_A_TIMEFRAME: Final = 100

Row = Sequence[str]
NumberedRow = tuple[int, Row]
"""The line (or row) number as an editor counts it, and the cells."""


class RowError(ValueError):
    """One cell is wrong. ``column`` is its name in the file."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class _Cells:
    """Finds columns in a header whatever it calls them, and reads cells with errors that name them."""

    def __init__(self, header: Row) -> None:
        self._header = [name.strip() for name in header]
        self._places = {name.lower(): place for place, name in reversed(list(enumerate(self._header)))}

    def __len__(self) -> int:
        return len(self._header)

    def find(self, column: str) -> int | None:
        return next((self._places[name] for name in NAMES[column] if name in self._places), None)

    def name(self, place: int) -> str:
        return self._header[place]

    def time_us(self, row: Row, place: int) -> int:
        try:
            return parse_time_us(row[place].strip())
        except (ValueError, OverflowError) as error:
            raise RowError(self.name(place), f"{row[place]!r} is {error}") from None

    def price(self, row: Row, place: int) -> Decimal:
        value = self._decimal(row, place)
        if value <= 0:
            raise RowError(self.name(place), f"{row[place]!r} is not above zero")
        return value

    def quantity(self, row: Row, place: int) -> Decimal:
        value = self._decimal(row, place)
        if value < 0:
            raise RowError(self.name(place), f"{row[place]!r} is below zero")
        return value

    def _decimal(self, row: Row, place: int) -> Decimal:
        try:
            value = Decimal(row[place])
        except InvalidOperation:
            raise RowError(self.name(place), f"{row[place]!r} is not a decimal number") from None
        if not value.is_finite():
            raise RowError(self.name(place), f"{row[place]!r} is not a finite number")
        return value


def prints_of(
    header: Row, rows: Iterator[NumberedRow], *, place: str, symbol: str | None, known: Mapping[str, object]
) -> Iterator[FeedTick]:
    """The prints of a table of trades or bars. ``place`` names the file in errors; ``symbol`` is for
    tables without one; ``known`` are the symbols that the Broker trades. Raises FeedError."""
    cells = _Cells(header)
    symbol_at = cells.find("symbol")
    if symbol_at is None:
        if symbol is None:
            raise FeedError(f"{place}: no column names the symbol; set feed.replay.symbol of the Broker")
        _check_symbol(symbol, known, place)
    bar_columns = [cells.find(column) for column in ("open", "high", "low", "close")]
    if None not in bar_columns:
        return _bars(cells, rows, place=place, symbol=symbol, known=known)
    return _trades(cells, rows, place=place, symbol=symbol, known=known)


def _require(cells: _Cells, column: str, place: str) -> int:
    found = cells.find(column)
    if found is None:
        raise FeedError(
            f"{place}, line 1: no column for {column}; call it one of {', '.join(NAMES[column])} "
            "(trades need time, price and quantity; bars time, open, high, low, close and volume)"
        )
    return found


def _check_symbol(symbol: str, known: Mapping[str, object], place: str) -> None:
    if symbol not in known:
        raise FeedError(
            f"{place}: {symbol!r} is not among the Broker's instruments ({', '.join(known)}); "
            "add it to spec.instruments"
        )


def _rows_as_prints(
    cells: _Cells, rows: Iterator[NumberedRow], place: str, convert: Callable[[int, Row], FeedTick]
) -> Iterator[FeedTick]:
    width = len(cells)
    for line, row in rows:
        if len(row) != width:
            raise FeedError(
                f"{place}, line {line}: {len(row)} columns where the header has {width}; mend or remove the line"
            )
        try:
            yield convert(line, row)
        except RowError as error:
            raise FeedError(f"{place}, line {line}, column {error.column}: {error}; mend or remove the line") from None


def _trades(
    cells: _Cells, rows: Iterator[NumberedRow], *, place: str, symbol: str | None, known: Mapping[str, object]
) -> Iterator[FeedTick]:
    time_at, price_at, quantity_at = (_require(cells, column, place) for column in ("time", "price", "quantity"))
    symbol_at, id_at = cells.find("symbol"), cells.find("trade_id")
    side_at, maker_at = cells.find("taker_side"), cells.find("buyer_is_maker")

    def side(row: Row) -> str | None:
        at, words = (side_at, _SIDES) if side_at is not None else (maker_at, _TRUTHS)
        if at is None:
            return None
        word = row[at].strip().lower()
        if word not in words:
            raise RowError(cells.name(at), f"{row[at]!r} is none of {', '.join(repr(each) for each in words)}")
        return words[word]

    def convert(line: int, row: Row) -> FeedTick:
        traded = symbol or "" if symbol_at is None else row[symbol_at]
        if traded not in known:
            _check_symbol(traded, known, f"{place}, line {line}")
        trade_id = str(line - 1) if id_at is None else row[id_at].strip()
        if id_at is not None and not trade_id:
            raise RowError(cells.name(id_at), "a trade without an id")
        return FeedTick(
            time_us=cells.time_us(row, time_at),
            symbol=traded,
            trade_id=trade_id,
            price=cells.price(row, price_at),
            quantity=cells.quantity(row, quantity_at),
            taker_side=side(row),
        )

    return _rows_as_prints(cells, rows, place, convert)


def _bars(
    cells: _Cells, rows: Iterator[NumberedRow], *, place: str, symbol: str | None, known: Mapping[str, object]
) -> Iterator[FeedTick]:
    time_at, open_at, high_at, low_at, close_at, volume_at = (
        _require(cells, column, place) for column in ("time", "open", "high", "low", "close", "volume")
    )
    symbol_at = cells.find("symbol")
    first = list(islice(rows, _ROWS_TO_TELL_A_TIMEFRAME))
    span_us = _timeframe_us(cells, first, time_at, symbol_at, place)
    last_us: dict[str, int] = {}

    def convert(line: int, row: Row) -> FeedTick:
        traded = symbol or "" if symbol_at is None else row[symbol_at]
        if traded not in known:
            _check_symbol(traded, known, f"{place}, line {line}")
        opened_us = cells.time_us(row, time_at)
        if opened_us < last_us.get(traded, opened_us - span_us) + span_us:
            raise RowError(cells.name(time_at), f"the bar starts within the one before ({span_us / 1e6:g} s bars)")
        last_us[traded] = opened_us
        low, high = cells.price(row, low_at), cells.price(row, high_at)
        opened, close = cells.price(row, open_at), cells.price(row, close_at)
        if not low <= min(opened, close) <= max(opened, close) <= high:
            raise RowError(cells.name(low_at), f"open {opened} and close {close} are not between {low} and {high}")
        return FeedTick(
            time_us=opened_us + span_us - 1,
            symbol=traded,
            trade_id=str(opened_us // 1000),
            price=close,
            quantity=cells.quantity(row, volume_at),
            open=opened,
            high=high,
            low=low,
        )

    return _rows_as_prints(cells, chain(first, rows), place, convert)


def _timeframe_us(cells: _Cells, first: Sequence[NumberedRow], time_at: int, symbol_at: int | None, place: str) -> int:
    """The bars' span: the smallest step between neighbours at the start of the table."""
    starts: dict[str, list[int]] = {}
    for line, row in first:
        if len(row) == len(cells):
            try:
                started_us = cells.time_us(row, time_at)
            except RowError as error:
                raise FeedError(
                    f"{place}, line {line}, column {error.column}: {error}; mend or remove the line"
                ) from None
            starts.setdefault("" if symbol_at is None else row[symbol_at], []).append(started_us)
    steps = [after - before for times in starts.values() for before, after in pairwise(times) if after > before]
    if not steps:
        raise FeedError(f"{place}: the bars' timeframe cannot be told from one bar; give at least two")
    return min(steps)
