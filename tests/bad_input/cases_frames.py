"""Bytes on a gateway's socket: ``give`` is what is sent, as it is or (in a session) as the body of a frame."""

from __future__ import annotations

import json
import struct

from tests.bad_input.case import Case, Section

_DECIDED_US = 1_700_000_000_000_000


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def _hello(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "type": "hello",
        "permit": "x",
        "instance": "i",
        "timeframe_us": 1,
        "acts_on_ticks": False,
    }
    return framed(json.dumps(fields | changes).encode())


def _submit(**changes: object) -> bytes:
    """``changes`` of the intent; each case has an id of its own."""
    intent: dict[str, object] = {
        "client_order_id": "bad-1",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "lots": 1_000,
        "price": "60000.00",
        "purpose": "entry",
        "position_id": "bad-1",
        "decided_us": _DECIDED_US,
    }
    return json.dumps({"type": "submit", "intent": intent | changes}).encode()


SECTION = Section(
    title="Bytes on the gateway's socket",
    given="sent to a gateway by somebody who has not been let in",
    after="the connection ends; other sessions go on; `christmas_gateway_refused_total` counts it, an event tells it; nothing is journaled",
    cases=(
        Case(
            "frame-http",
            "a web browser",
            b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
            message="refused, BadFrame: a frame of 1195725856 bytes; 4 bytes say how many follow, at most 1048576",
        ),
        Case(
            "frame-tls",
            "a TLS handshake",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
            message="refused, BadFrame: a frame of 369295618 bytes; 4 bytes say how many follow, at most 1048576",
        ),
        Case(
            "frame-length-too-long",
            "a length of 2 GiB",
            struct.pack(">I", 1 << 31),
            message="refused, BadFrame: a frame of 2147483648 bytes; 4 bytes say how many follow, at most 1048576",
        ),
        Case(
            "frame-length-lies",
            "a length that promises more than comes",
            struct.pack(">I", 100) + b"{}",
            message="refused, BadFrame: the connection ended within a frame",
        ),
        Case(
            "frame-length-cut",
            "two of the four bytes of a length",
            b"\0\0",
            message="refused, BadFrame: the connection ended within a frame's length",
        ),
        Case(
            "frame-empty",
            "a frame of nothing",
            framed(b""),
            message="refused, BadFrame: not a frame: Input data was truncated; docs/protocol.md lists them",
        ),
        Case(
            "frame-garbage",
            "bytes that are no JSON",
            framed(b"\x00\x01\x02\x03"),
            message="refused, BadFrame: not a frame: JSON is malformed: invalid character (byte 0); docs/protocol.md lists them",
        ),
        Case(
            "frame-not-utf8",
            "JSON that is no UTF-8",
            framed(b'{"type":"\xff\xfe"}'),
            message="refused, BadFrame: not a frame: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte; docs/protocol.md lists them",
        ),
        Case(
            "frame-array",
            "a list where an object is wanted",
            framed(b"[]"),
            message="refused, BadFrame: not a frame: Expected `object`, got `array`; docs/protocol.md lists them",
        ),
        Case(
            "frame-no-type",
            "no type",
            framed(b"{}"),
            message="refused, BadFrame: not a frame: Object missing required field `type`; docs/protocol.md lists them",
        ),
        Case(
            "frame-unknown-type",
            "an unknown type",
            framed(b'{"type":"welcome"}'),
            message="refused, BadFrame: not a frame: Invalid value 'welcome' - at `$.type`; docs/protocol.md lists them",
        ),
        Case(
            "frame-deep",
            "brackets in brackets, 100,000 deep",
            framed(b'{"type":"ping","x":' + b"[" * 100_000),
            message="refused, BadFrame: not a frame: maximum recursion depth exceeded while deserializing an object; docs/protocol.md lists them",
        ),
        Case(
            "frame-missing-field",
            "a hello without its permit",
            framed(b'{"type":"hello"}'),
            message="refused, BadFrame: not a frame: Object missing required field `permit`; docs/protocol.md lists them",
        ),
        Case(
            "frame-wrong-type",
            "a number where a text is wanted",
            _hello(permit=7),
            message="refused, BadFrame: not a frame: Expected `str`, got `int` - at `$.permit`; docs/protocol.md lists them",
        ),
        Case(
            "frame-not-hello",
            "an order before the hello",
            framed(_submit()),
            message="refused, BadFrame: the first frame is a Hello or a Command, not Submit",
        ),
        Case(
            "frame-version",
            "another version of the protocol",
            _hello(protocol=99),
            message="refused, ProtocolVersion: this gateway speaks version 1, not 99",
        ),
        Case(
            "frame-timeframe",
            "a timeframe of no time",
            _hello(timeframe_us=0),
            message="refused, BadFrame: timeframe_us is out of bounds; give a whole number from 1 to 9007199254740992",
        ),
        Case(
            "frame-instance",
            "no instance",
            _hello(instance=""),
            message="refused, BadFrame: instance is no id; give 1 to 64 printable ASCII characters without spaces",
        ),
        Case(
            "frame-negative-sequence",
            "reports from before the first",
            _hello(last_report_sequence=-1),
            message="refused, BadFrame: last_report_sequence is out of bounds; give a whole number from 0 to 9223372036854775807",
        ),
    ),
)

SESSION = Section(
    title="Frames within a session",
    given="sent by a strategy that was let in",
    after="nothing of it reaches the venue; other sessions go on; `christmas_gateway_refused_total` or `christmas_gateway_denied_total` counts it",
    cases=(
        Case(
            "order-price-nan",
            "a price that is no number",
            _submit(price="NaN"),
            message="refused, BadFrame: intent.price is no price; give a finite decimal, at most 20 digits on each side of the point",
        ),
        Case(
            "order-price-infinite",
            "an infinite price",
            _submit(price="Infinity"),
            message="refused, BadFrame: intent.price is no price; give a finite decimal, at most 20 digits on each side of the point",
        ),
        Case(
            "order-price-digits",
            "a price of 100,000 digits",
            _submit(price="1e99999"),
            message="refused, BadFrame: intent.price is no price; give a finite decimal, at most 20 digits on each side of the point",
        ),
        Case(
            "order-price-text",
            "a word for a price",
            _submit(price="cheap"),
            message="refused, BadFrame: not a frame: Invalid decimal string - at `$.intent.price`; docs/protocol.md lists them",
        ),
        Case(
            "order-lots-huge",
            "more lots than 63 bits hold",
            _submit(lots=1 << 70),
            message="refused, BadFrame: intent.lots is out of bounds; give a whole number from -9223372036854775807 to 9223372036854775807",
        ),
        Case(
            "order-lots-part",
            "half a lot",
            _submit(lots=0.5),
            message="refused, BadFrame: not a frame: Expected `int`, got `float` - at `$.intent.lots`; docs/protocol.md lists them",
        ),
        Case(
            "order-id-blank",
            "a blank in an order id",
            _submit(client_order_id="bad 1"),
            message="refused, BadFrame: intent.client_order_id is no id; give 1 to 64 printable ASCII characters without spaces",
        ),
        Case(
            "order-id-long",
            "an order id of 65 characters",
            _submit(client_order_id="x" * 65),
            message="refused, BadFrame: intent.client_order_id is no id; give 1 to 64 printable ASCII characters without spaces",
        ),
        Case(
            "order-reason-long",
            "a reason of 2,001 characters",
            _submit(reason="r" * 2_001),
            message="refused, BadFrame: intent.reason is no text; give at most 2000 characters, U+0000 not among them",
        ),
        Case(
            "order-reason-nul",
            "the character U+0000, which no database takes",
            _submit(reason="a\0b"),
            message="refused, BadFrame: intent.reason is no text; give at most 2000 characters, U+0000 not among them",
        ),
        Case(
            "order-decided-late",
            "a decision in the year 9999",
            _submit(decided_us=1 << 58),
            message="refused, BadFrame: intent.decided_us is out of bounds; give a whole number from 0 to 9007199254740992",
        ),
        Case(
            "order-side",
            "an unknown side",
            _submit(side="long"),
            message="refused, BadFrame: not a frame: Invalid enum value 'long' - at `$.intent.side`; docs/protocol.md lists them",
        ),
        Case(
            "session-hello-again", "a second hello", _hello()[4:], message="refused, BadFrame: Hello within a session"
        ),
        Case(
            "session-answered",
            "an answer to nothing",
            b'{"type":"answered","clock_us":1}',
            message="refused, BadFrame: Answered, and nothing was asked",
        ),
        Case(
            "session-giant",
            "a frame above 1 MiB",
            b" " * ((1 << 20) + 1),
            message="refused, BadFrame: a frame of 1048577 bytes; 4 bytes say how many follow, at most 1048576",
        ),
        Case(
            "order-lots-negative",
            "fewer lots than none",
            _submit(client_order_id="lots-negative", lots=-1),
            message="denied, Lots: -1 lots, at least 1",
        ),
        Case(
            "order-symbol",
            "a symbol that the permit does not name",
            _submit(client_order_id="symbol", symbol="ETH/USDT"),
            message="denied, UnknownSymbol: ETH/USDT is not among BTC/USDT",
        ),
        Case(
            "order-short",
            "a sale as an entry",
            _submit(client_order_id="short", side="sell"),
            message="denied, LongOnly: an entry cannot sell",
        ),
        Case(
            "order-price-zero",
            "a price of nothing",
            _submit(client_order_id="price-zero", price="0"),
            message="denied, Price: a limit order needs a price above zero",
        ),
        Case(
            "order-price-increment",
            "a price between two increments",
            _submit(client_order_id="increment", price="60000.001"),
            message="denied, Price: 60000.001 is not a multiple of 0.01",
        ),
        Case(
            "order-market-price",
            "a market order with a price",
            _submit(client_order_id="market-price", type="market"),
            message="denied, Price: a market order has no price",
        ),
        Case(
            "order-too-small",
            "an order below the venue's minimum",
            _submit(client_order_id="too-small", lots=1, price="1.00"),
            message="denied, MinimumNotional: 0.0000100 USDT, at least 5",
        ),
        Case(
            "order-exit-of-nothing",
            "an exit of a position that never was",
            _submit(client_order_id="exit", side="sell", purpose="exit", position_id="never"),
            message="denied, UnknownPosition: there is no position never of BTC/USDT",
        ),
    ),
)
