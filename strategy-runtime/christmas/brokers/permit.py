"""Permits: signed capabilities that let one Strategy trade on one Broker within its limits.

``base64url(json).base64url(hmac-sha256(key, json))``. The key is held by who issues permits (the
fleet) and by the gateway, never by a runtime: it can neither widen its limits nor raise its epoch.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import msgspec

from christmas.resources.meta import duration_us, fraction
from christmas.resources.strategy import StrategySpec
from christmas.telemetry.unreadable import UNREADABLE

MINIMUM_KEY_BYTES: Final = 32


class PermitError(Exception):
    """The permit opens nothing here."""


class PermitForged(PermitError):
    """Not a permit, or not signed with the gateway's key."""


class PermitExpired(PermitError):
    """Was one."""


class PermitForeign(PermitError):
    """For another Broker or another role."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a strategy may do at most; amounts in quote currency, fractions as such (2 % is 0.02)."""

    symbols: tuple[str, ...]
    amount: Decimal
    """Of all open positions and open entry orders together."""
    per_trade: Decimal
    """Of one entry order."""
    max_positions: int
    max_orders_per_minute: int
    max_open_orders: int
    max_daily_loss: Decimal | None = None
    price_collar: Decimal
    stale_after_us: int


class Permit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    strategy: str
    strategy_uid: str
    broker: str
    role: Literal["strategy", "admin"] = "strategy"
    epoch: int
    issued_us: int
    expires_us: int
    """Wall time. A session that is open stays open; a later Hello needs a new permit."""
    limits: Limits | None = None
    """None only for an admin."""


def read_key(path: Path) -> bytes:
    """The key in a file, every byte of it; raises ValueError when it could be guessed."""
    key = path.read_bytes()
    if len(key) < MINIMUM_KEY_BYTES:
        raise ValueError(f"{path}: a permit key has at least {MINIMUM_KEY_BYTES} bytes, this one {len(key)}")
    return key


def limits_of(spec: StrategySpec) -> Limits:
    """The limits that a Strategy's manifest asks for."""
    return Limits(
        symbols=spec.symbols,
        amount=Decimal(spec.capital.amount),
        per_trade=Decimal(spec.capital.per_trade),
        max_positions=spec.capital.max_positions,
        max_orders_per_minute=spec.risk.max_orders_per_minute,
        max_open_orders=spec.risk.max_open_orders,
        max_daily_loss=None if spec.risk.max_daily_loss is None else Decimal(spec.risk.max_daily_loss),
        price_collar=fraction(spec.risk.price_collar),
        stale_after_us=duration_us(spec.risk.stale_after),
    )


def issue(permit: Permit, key: bytes) -> str:
    """The permit as text; raises ValueError for a key that could be guessed or limits that are missing."""
    if len(key) < MINIMUM_KEY_BYTES:
        raise ValueError(f"a permit key has at least {MINIMUM_KEY_BYTES} bytes, this one {len(key)}")
    if permit.role == "strategy" and permit.limits is None:
        raise ValueError("a strategy's permit carries its limits")
    body = msgspec.json.encode(permit)
    return f"{_encode(body)}.{_encode(_sign(body, key))}"


def verify(
    text: str, key: bytes, *, broker: str, now_us: int, role: Literal["strategy", "admin"] = "strategy"
) -> Permit:
    """The permit in ``text``; raises PermitForged, PermitExpired or PermitForeign.

    Nothing of the body is looked at before its signature has been found right.
    """
    encoded, _, signature = text.partition(".")
    try:
        body, signed = _decode(encoded), _decode(signature)
    except (Base64Error, ValueError) as error:
        raise PermitForged("this is not a permit: one is body.signature, both in base64url") from error
    if not hmac.compare_digest(signed, _sign(body, key)):
        raise PermitForged(
            "the permit's signature is not this gateway's: it was changed, or issued with another permit key"
        )
    try:
        permit = msgspec.json.decode(body, type=Permit)
    except UNREADABLE as error:
        raise PermitForged(f"the permit cannot be read: {error}") from error
    if permit.broker != broker:
        raise PermitForeign(f"the permit is for the Broker {permit.broker}, this is {broker}")
    if permit.role != role:
        raise PermitForeign(f"the permit's role is {permit.role}, this needs {role}")
    if role == "strategy" and permit.limits is None:
        raise PermitForged("the permit carries no limits: a strategy's names them")
    if permit.expires_us <= now_us:
        raise PermitExpired("the permit has expired: the fleet issues a new one when it starts the strategy again")
    return permit


def _sign(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
