"""Permits that open nothing: ``give`` names the recipe below that makes one."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from christmas.brokers.permit import issue
from tests.bad_input.case import Case, Section
from tests.integration.gateway.running import KEY, limits, permit, raw_permit

HOUR_US: Final = 3_600_000_000


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _signed(body: bytes, key: bytes = KEY, algorithm: str = "sha256") -> str:
    return f"{_encode(body)}.{_encode(hmac.new(key, body, algorithm).digest())}"


def _body(**changes: object) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(raw_permit(), **changes))


def _changed(**changes: object) -> str:
    """The genuine signature under another body."""
    return f"{_encode(_body(**changes))}.{permit().partition('.')[2]}"


def _now_us() -> int:
    return time.time_ns() // 1000


def _json(**changes: object) -> bytes:
    fields: dict[str, object] = msgspec.json.decode(_body())
    return msgspec.json.encode(fields | changes)


def _flipped(text: str) -> str:
    body, _, signature = text.partition(".")
    raw = bytearray(urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    raw[0] ^= 1
    return f"{body}.{_encode(bytes(raw))}"


RECIPES: Final[Mapping[str, Callable[[], str]]] = {
    "none": lambda: "",
    "words": lambda: "let me in",
    "no signature": lambda: permit().partition(".")[0] + ".",
    "another key": lambda: issue(raw_permit(), b"another key of thirty-two bytes!"),
    "raised limits": lambda: _changed(limits=limits(max_positions=1_000)),
    "raised epoch": lambda: _changed(epoch=1_000_000),
    "later expiry": lambda: _changed(expires_us=_now_us() + 1_000 * HOUR_US),
    "another strategy": lambda: _changed(strategy="another"),
    "one bit": lambda: _flipped(permit()),
    "cut": lambda: permit()[:-4],
    "not ASCII": lambda: "é" + permit(),
    "sha512": lambda: _signed(_body(), algorithm="sha512"),
    "unkeyed": lambda: f"{_encode(_body())}.{_encode(hashlib.sha256(_body()).digest())}",
    "empty key": lambda: _signed(_body(), key=b""),
    "own body as key": lambda: _signed(_body(), key=_body()),
    "no limits": lambda: _signed(_body(limits=None)),
    "unknown field": lambda: _signed(_json(superuser=True)),
    "word for epoch": lambda: _signed(_json(epoch="1")),
    "not JSON": lambda: _signed(b"epoch=1"),
    "expired": lambda: permit(expires_us=_now_us() - 1),
    "expired for ever": lambda: permit(expires_us=0),
    "another Broker": lambda: permit(broker="binance"),
    "admin": lambda: permit(role="admin"),
    "older epoch": lambda: permit("epochs", epoch=1),
    "replayed": lambda: permit("replays"),
}

_CASES: Final = (
    Case(
        "permit-none",
        "no permit",
        "none",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-words",
        "words that are no permit",
        "words",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-no-signature",
        "a permit without its signature",
        "no signature",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-another-key",
        "signed with another key",
        "another key",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-limits",
        "limits raised after signing",
        "raised limits",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-epoch",
        "epoch raised after signing",
        "raised epoch",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-expiry",
        "expiry put off after signing",
        "later expiry",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-strategy",
        "made out to another strategy after signing",
        "another strategy",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-bit",
        "one bit of the signature changed",
        "one bit",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-cut",
        "cut off at its end",
        "cut",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-not-ascii",
        "letters that base64 does not have",
        "not ASCII",
        message="refused, PermitForged: this is not a permit: one is body.signature, both in base64url",
    ),
    Case(
        "permit-algorithm",
        "signed with another algorithm (SHA-512)",
        "sha512",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-unkeyed",
        "a plain hash for a signature",
        "unkeyed",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-empty-key",
        "signed with an empty key",
        "empty key",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-body-as-key",
        "signed with what everybody can read",
        "own body as key",
        message="refused, PermitForged: the permit's signature is not this gateway's: it was changed, or issued with another permit key",
    ),
    Case(
        "permit-no-limits",
        "genuine, and without limits",
        "no limits",
        message="refused, PermitForged: the permit carries no limits: a strategy's names them",
    ),
    Case(
        "permit-unknown-field",
        "genuine, with a field that nobody knows",
        "unknown field",
        message="refused, PermitForged: the permit cannot be read: Object contains unknown field `superuser`",
    ),
    Case(
        "permit-epoch-word",
        "genuine, with a word for its epoch",
        "word for epoch",
        message="refused, PermitForged: the permit cannot be read: Expected `int`, got `str` - at `$.epoch`",
    ),
    Case(
        "permit-not-json",
        "genuine, and no JSON",
        "not JSON",
        message="refused, PermitForged: the permit cannot be read: JSON is malformed: invalid character (byte 0)",
    ),
    Case(
        "permit-expired",
        "expired a moment ago",
        "expired",
        message="refused, PermitExpired: the permit has expired: the fleet issues a new one when it starts the strategy again",
    ),
    Case(
        "permit-expired-long",
        "expired in 1970",
        "expired for ever",
        message="refused, PermitExpired: the permit has expired: the fleet issues a new one when it starts the strategy again",
    ),
    Case(
        "permit-foreign",
        "for another Broker (replayed from another gateway)",
        "another Broker",
        message="refused, PermitForeign: the permit is for the Broker binance, this is paper",
    ),
    Case(
        "permit-admin",
        "an admin's, for trading",
        "admin",
        message="refused, PermitForeign: the permit's role is admin, this needs strategy",
    ),
    Case(
        "permit-older-epoch",
        "of an older epoch, after a newer one was here",
        "older epoch",
        message="refused, EpochSuperseded: another process speaks for epochs now",
    ),
    Case(
        "permit-replayed",
        "of a process that another has taken over from",
        "replayed",
        message="refused, InstanceSuperseded: another process speaks for replays now",
    ),
)
SECTION = Section(
    title="Permits",
    given="in the hello to a real gateway",
    after="refused; `christmas_gateway_refused_total{code=...}` counts it and an alert with the code as its reason is in the events stream; no order is taken",
    cases=_CASES,
)
