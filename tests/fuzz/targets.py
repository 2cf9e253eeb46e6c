"""What is fuzzed: each target takes bytes through a real boundary and lets out nothing but a finding.

A target swallows exactly the error types that its boundary documents; whatever else it raises is a finding.
What a boundary accepts must also be fit for use by whoever comes next, so each target goes one step further.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from christmas.analysis.rules.problems import RuleError
from christmas.analysis.rules.rule import canonical, compile_rule
from christmas.brokers.feeds.capture import captured_prints
from christmas.brokers.feeds.columns import prints_of
from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.replay import ReplayFeed
from christmas.brokers.feeds.source import Source
from christmas.brokers.gateway.settings import GatewaySettings, broker_of
from christmas.brokers.paper.terms import terms_of
from christmas.brokers.permit import Limits, Permit, PermitError, issue, limits_of, verify
from christmas.execution.protocol import (
    Hello,
    Ping,
    ProtocolError,
    decode_gateway_frame,
    decode_runtime_frame,
    encode_frame,
)
from christmas.fleet.manifests import read
from christmas.ingestion.settings import RecorderSettings
from christmas.market.bar import Bar
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.sequencer import Sequencer
from christmas.market.stream import parse_stream
from christmas.market.tick import ClockAdvance, Tick, TickBatch
from christmas.resources.broker import Broker
from christmas.resources.problem import ManifestError
from christmas.resources.strategy import Strategy
from christmas.runtime.settings import RuntimeSettings
from christmas.telemetry.settings import load_settings
from christmas.telemetry.unreadable import UNREADABLE
from tests.fuzz.live_server import live_server
from tests.model.life import permit_for
from tests.unit.resources.manifests import BOTH, BROKER, STRATEGY

SYMBOL: Final = "BTC/USDT"
INSTRUMENT: Final = Instrument(symbol=SYMBOL, price_increment=Decimal("0.01"), lot_size=Decimal("0.00001"))
KEY: Final = b"f" * 32
PRINTS_MAXIMUM: Final = 2_000
"""Of one file: what comes after them is read by the same code."""


class Finding(AssertionError):
    """Something that was accepted and must not have been."""


class Target(NamedTuple):
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...] = ()
    """Put together by the fuzzer: without them it would have to guess every keyword."""


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="christmas-fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


# --- manifests ---------------------------------------------------------------------------------


def manifests(data: bytes) -> None:
    try:
        loaded = read([_file("manifest.yaml", data)])
    except ManifestError as error:
        if not all(str(problem) for problem in error.problems):
            raise Finding("a problem without words") from error
        return
    for strategy in loaded.strategies:
        limits_of(strategy.spec)
        msgspec.json.decode(msgspec.json.encode(strategy), type=Strategy)
    for broker in loaded.brokers:
        terms_of(broker.spec)
        msgspec.json.decode(msgspec.json.encode(broker), type=Broker)


# --- rules -------------------------------------------------------------------------------------


def rules(data: bytes) -> None:
    text = data.decode("utf-8", errors="surrogateescape")
    for role in ("entry", "exit"):
        try:
            rule = compile_rule(text, role="entry" if role == "entry" else "exit")
        except RuleError as error:
            if any(not 1 <= problem.column <= len(text) + 1 for problem in error.problems):
                raise Finding(f"a column outside the text: {error.problems}") from error
            continue
        # What it means is spelt as a rule of the same meaning, and it can be evaluated.
        again = compile_rule(canonical(rule), role="exit")
        if canonical(again) != canonical(rule):
            raise Finding(f"{text!r} is spelt {canonical(rule)!r}, and that {canonical(again)!r}")
        if not rule.looks_at_position and rule.warm_up <= 50:
            evaluator = rule.evaluator()
            for bar in _bars():
                evaluator.update(bar)
            evaluator.explain()


@cache
def _bars() -> tuple[Bar, ...]:
    prices = [Decimal(100 + (index * 7) % 13) for index in range(60)]
    return tuple(
        Bar(
            symbol=SYMBOL,
            start_us=1_700_000_000_000_000 + index * 5_000_000,
            end_us=1_700_000_000_000_000 + (index + 1) * 5_000_000,
            open=price,
            high=price + 1,
            low=price - 1,
            close=price,
            lots=0 if index % 10 == 0 else 10,
            buy_lots=0 if index % 10 == 0 else 4,
            sell_lots=0,
            price_lots=price * (0 if index % 10 == 0 else 10),
            ticks=1,
        )
        for index, price in enumerate(prices)
    )


# --- files and prints --------------------------------------------------------------------------


def files(data: bytes) -> None:
    path = _file("data", data)
    sequencer = Sequencer({SYMBOL: INSTRUMENT})
    try:
        source = Source(path, symbol=SYMBOL, known={SYMBOL: INSTRUMENT})
        source.count()
        for _, tick in islice(source.prints(), PRINTS_MAXIMUM):
            for message in sequencer.accept([tick]).messages:
                msgspec.json.decode(msgspec.json.encode(message), type=type(message))
        feed = ReplayFeed([path], speed="max", symbol=SYMBOL, known={SYMBOL: INSTRUMENT}, loop=True)
        for _ in islice(feed._prints(), PRINTS_MAXIMUM):
            pass
    except FeedError as error:
        if str(path) not in str(error):
            raise Finding(f"an error that does not name the file: {error}") from error


def rows(data: bytes) -> None:
    """Cells and captured lines without the file around them: far more tries a second."""
    lines = data.split(b"\n")
    known = {SYMBOL: INSTRUMENT}
    try:
        for _ in captured_prints(iter(enumerate(lines, start=1)), place="here", known=known):
            pass
    except FeedError:
        pass
    text = [line.decode("utf-8", errors="replace").split(",") for line in lines]
    sequencer = Sequencer({SYMBOL: INSTRUMENT})
    try:
        prints = prints_of(text[0], iter(enumerate(text[1:], start=2)), place="here", symbol=SYMBOL, known=known)
        for tick in prints:
            sequencer.accept([tick])
    except FeedError as error:
        if "here" not in str(error):
            raise Finding(f"an error that does not name the place: {error}") from error


_feed_ticks = msgspec.json.Decoder(list[FeedTick])
_tick = msgspec.json.Decoder(Tick)
_batch = msgspec.json.Decoder(TickBatch)
_clock = msgspec.json.Decoder(ClockAdvance)


def ticks(data: bytes) -> None:
    """What Redis may hold or deliver, and prints as a feed may hand them over."""
    for decoder in (_tick, _batch, _clock):
        try:
            decoder.decode(data)
        except UNREADABLE:
            continue
    try:
        prints = _feed_ticks.decode(data)
    except UNREADABLE:
        return
    sequencer = Sequencer({SYMBOL: INSTRUMENT})
    sequenced = sequencer.accept(prints, received_us=1, now_us=1_700_000_000_000_000)
    if sequenced.accepted + sequenced.duplicates + len(sequenced.quarantined) != len(prints):
        raise Finding("prints that are neither accepted nor refused")
    clock_us = 0
    for message in sequenced.messages:
        if isinstance(message, ClockAdvance):
            if message.time_us <= clock_us:
                raise Finding("the clock went back")
            clock_us = message.time_us
        else:
            for tick in message.ticks:
                if not (tick.price.is_finite() and tick.price > 0 and tick.lots > 0) and tick.high is None:
                    raise Finding(f"accepted: {tick}")
        msgspec.json.decode(msgspec.json.encode(message), type=type(message))
    for refused in sequenced.quarantined:
        msgspec.json.encode(refused)


def stream_state(data: bytes) -> None:
    """The hash that says where a stream stands, as a foreign hand may leave it."""
    parts = data.split(b"\n")
    try:
        parse_stream(parts[: len(parts) // 2 * 2])
    except ValueError:
        return


# --- permits and settings ----------------------------------------------------------------------


def _permit(**changes: object) -> Permit:
    limits = Limits(
        symbols=(SYMBOL,),
        amount=Decimal(1000),
        per_trade=Decimal(100),
        max_positions=1,
        max_orders_per_minute=1,
        max_open_orders=1,
        price_collar=Decimal("0.1"),
        stale_after_us=1,
    )
    permit = Permit(
        strategy="scalper", strategy_uid="u", broker="paper", epoch=1, issued_us=0, expires_us=1 << 60, limits=limits
    )
    return msgspec.structs.replace(permit, **changes)


ISSUED: Final = {issue(_permit(epoch=epoch), KEY): _permit(epoch=epoch) for epoch in range(3)}


def permits(data: bytes) -> None:
    text = data.decode("utf-8", errors="surrogateescape")
    try:
        permit = verify(text, KEY, broker="paper", now_us=1)
    except PermitError:
        return
    if permit not in ISSUED.values():
        raise Finding(f"a permit that was never issued: {permit}")


def settings(data: bytes) -> None:
    path = _file("settings.json", data)
    for kind in (GatewaySettings, RuntimeSettings, RecorderSettings):
        try:
            loaded = load_settings(kind, path)
            if isinstance(loaded, GatewaySettings):
                broker_of(loaded)
        except ValueError as error:
            if isinstance(error, UnicodeError) or not str(error):
                raise


# --- the protocol ------------------------------------------------------------------------------


def frame_bodies(data: bytes) -> None:
    for decode in (decode_runtime_frame, decode_gateway_frame):
        try:
            frame = decode(data)
        except ProtocolError:
            continue
        body = encode_frame(frame)[4:]
        if decode(body) != frame:
            raise Finding(f"{frame} is another after its way over the wire")


def server(data: bytes) -> None:
    """Raw bytes to a listening gateway, from somebody without a permit: nothing is accepted, nothing is hurt."""
    live_server().strange_bytes(data)


def session(data: bytes) -> None:
    """Frames within a session that was let in, one a line: only what its permit allows gets to the venue."""
    live_server().within_session(data.split(b"\n"))


# --- seeds -------------------------------------------------------------------------------------


def _csv() -> bytes:
    return (
        b"time,symbol,trade_id,price,quantity,side\n"
        b"1700000000000,BTC/USDT,1,60000.01,0.5,buy\n"
        b"2023-11-14T22:13:21Z,BTC/USDT,2,60000.02,0.1,sell\n"
    )


def _bars_csv() -> bytes:
    return (
        b"time,open,high,low,close,volume\n1700000000000,1,3,1,2,5\n1700000060000,2,3,1,2,0\n1700000120000,2,2,2,2,1\n"
    )


def _capture() -> bytes:
    message = {
        "stream": "btcusdt@trade",
        "data": {
            "e": "trade",
            "T": 1_700_000_000_000,
            "s": "BTCUSDT",
            "t": 5,
            "p": "60000.01",
            "q": "0.5",
            "m": True,
            "X": "MARKET",
        },
    }
    return b"1700000000000000000 " + json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _parquet() -> bytes:
    import pyarrow as arrow  # noqa: PLC0415 - heavy, and only the seeds need it
    from pyarrow import parquet  # noqa: PLC0415

    table = arrow.table({"time": [1_700_000_000_000], "price": ["60000.01"], "quantity": ["0.5"], "trade_id": ["1"]})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="none")
    return buffer.getvalue()


def _submit() -> bytes:
    return (
        b'{"type":"submit","intent":{"client_order_id":"a-1","symbol":"BTC/USDT","side":"buy","type":"limit","lots":1,'
        b'"price":"100","purpose":"entry","position_id":"a-1","decided_us":1700000001000000}}'
    )


_HELLO = encode_frame(Hello(permit="a.b", instance="i", timeframe_us=1, acts_on_ticks=False))
_PING = encode_frame(Ping())
_YAML_NASTY = (
    b"a: &a [x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n",
    b"apiVersion: 2024-13-45\n",
    b"&a [*a]\n",
    b"a: !!binary '%%'\n",
    b"? [1, 2]\n: x\n",
    b"a: 1:99:99\n",
)
TARGETS: Final[Mapping[str, Target]] = {
    "manifests": Target(
        manifests,
        (BROKER.encode(), STRATEGY.encode(), BOTH.encode(), *_YAML_NASTY),
        (
            "apiVersion: ",
            "kind: ",
            "spec:",
            "metadata:",
            "name: ",
            "code:",
            "builtin:",
            "rules:",
            "!!timestamp ",
            "&a ",
            "*a",
            "feed:",
            "synthetic:",
            "exit:",
            "maximumAge: ",
            "tradingHours:",
            "sessions:",
            "timezone: ",
        ),
    ),
    "rules": Target(
        rules,
        (
            b"rsi(14) < 30 and close < bollinger(20, 2).lower",
            b"macd(12, 26, 9).histogram crosses above 0",
            b"sma(ema(close, 5), 10)[3 bars ago] > 1e3 or not (volume >= -2 * open / 7)",
            b"position.profit > 0.01 and position.age > 60",
        ),
        (
            " and ",
            " or ",
            "not ",
            " crosses above ",
            " crosses below ",
            "[1 bar ago]",
            "rsi(14)",
            "atr(14)",
            ".upper",
            "vwap()",
            "stochastic(14, 3, 3).k",
            "position.profit",
            "1e308",
            "0.0",
        ),
    ),
    "files": Target(
        files,
        (_csv(), _bars_csv(), _capture(), gzip.compress(_csv()), gzip.compress(_capture()), _parquet()),
        ("time", "price", "quantity", "open,high,low,close,volume", "1e999999", "nan", '"'),
    ),
    "rows": Target(
        rows,
        (_csv(), _bars_csv(), _capture()),
        (
            "time,price,quantity",
            "1e99999",
            "-0",
            "nan",
            "inf",
            "²",
            "0001-01-01",
            "9999-12-31T23:59:59+00:00",
            '"e":"trade"',
        ),
    ),
    "ticks": Target(
        ticks,
        (
            b'[{"time_us":1700000000000000,"symbol":"BTC/USDT","trade_id":"1","price":"1.01","quantity":"0.5"}]',
            (
                b'[{"time_us":1700000000000000,"symbol":"BTC/USDT","trade_id":"1","price":"NaN","quantity":"1e99999"},'
                b'{"time_us":-1,"symbol":"ETH","trade_id":"","price":"Infinity","quantity":"-1","open":"1","high":"2","low":"1"}]'
            ),
            b'{"n":3,"x":[{"t":1,"s":"BTC/USDT","i":"1","p":"1","v":1,"k":"buy"}]}',
            b'{"c":1700000000000000}',
        ),
        ('"price":"', '"quantity":"', '"trade_id":"', '"high":"', '"1e999"', '"sNaN"', '"1E+1000000"'),
    ),
    "stream_state": Target(stream_state, (b"clock\n1\nBTC/USDT\n2\ntrimmed:BTC/USDT\n3\nquarantine\n1\nanswered\n1",)),
    "permits": Target(permits, tuple(text.encode() for text in ISSUED)),
    "settings": Target(
        settings,
        (
            b'{"name":"g","redis_url":"redis://x","listen":"unix:/x","state_directory":"/x","permit_key_file":"/x"}',
            b'{"name":"r","redis_url":"file:/nowhere","http_port":1}',
        ),
        ('"broker":', '"broker_file":"', '"replay":{', '"database_url":"', "file:", '"expected_sessions":['),
    ),
    "frame_bodies": Target(
        frame_bodies,
        (_HELLO[4:], _PING[4:], _submit(), b'{"type":"command","permit":"p","action":"halt"}'),
        ('"type":"welcome"', '"type":"report"', '"fill":', '"price":"', "1e9999", '"NaN"'),
    ),
    "server": Target(
        server,
        (
            _HELLO,
            _PING,
            struct.pack(">I", 1 << 31) + b"x",
            struct.pack(">I", 0),
            _HELLO + encode_frame(Ping()),
            encode_frame(Hello(permit=permit_for("alpha", 1)[:-2], instance="i", timeframe_us=1, acts_on_ticks=False)),
            struct.pack(">I", 4000) + b"[" * 4000,
        ),
        ('{"type":"hello"', '{"type":"command"', '"permit":"', '"action":"flatten"'),
    ),
    "session": Target(
        session,
        (
            _submit(),
            _submit() + b"\n" + _submit().replace(b'"lots":1', b'"lots":2'),
            _submit().replace(b'"price":"100"', b'"price":"NaN"'),
            _submit().replace(b'"price":"100"', b'"price":"1e99999"'),
            _submit().replace(b'"lots":1', b'"lots":-1'),
            b'{"type":"cancel","intent":{"client_order_id":"a-1","decided_us":1}}',
            b'{"type":"signal","time_us":1,"symbol":"x","signal":"entry","taken":true,"reason":""}',
            b'{"type":"answered","clock_us":1}',
        ),
        ('"lots":', '"price":"', '"Infinity"', '"type":"market"', '"side":"sell"', '"purpose":"exit"', '"symbol":"'),
    ),
}
