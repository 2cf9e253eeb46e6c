"""Permits: what opens a session and what does not."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.brokers.permit import (
    Permit,
    PermitError,
    PermitExpired,
    PermitForeign,
    PermitForged,
    issue,
    limits_of,
    read_key,
    verify,
)
from christmas.resources.strategy import BrokerRef, Capital, Risk, Rules, StrategySpec
from tests.unit.gateway.bench import LIMITS

KEY = b"k" * 32
PERMIT = Permit(
    strategy="scalper", strategy_uid="u", broker="paper", epoch=3, issued_us=1, expires_us=1_000, limits=LIMITS
)


def test_what_was_issued_is_verified() -> None:
    assert verify(issue(PERMIT, KEY), KEY, broker="paper", now_us=999) == PERMIT


def test_a_permit_ends() -> None:
    with pytest.raises(PermitExpired):
        verify(issue(PERMIT, KEY), KEY, broker="paper", now_us=1_000)


def test_another_brokers_permit_and_another_role_are_foreign() -> None:
    with pytest.raises(PermitForeign):
        verify(issue(PERMIT, KEY), KEY, broker="binance", now_us=0)
    with pytest.raises(PermitForeign):
        verify(issue(PERMIT, KEY), KEY, broker="paper", now_us=0, role="admin")


def test_another_key_forges() -> None:
    with pytest.raises(PermitForged):
        verify(issue(PERMIT, b"x" * 32), KEY, broker="paper", now_us=0)


def test_wider_limits_under_the_old_signature_are_forged() -> None:
    _, _, signature = issue(PERMIT, KEY).partition(".")
    wider = msgspec.structs.replace(PERMIT, limits=msgspec.structs.replace(LIMITS, amount=Decimal(10**9)))
    body = urlsafe_b64encode(msgspec.json.encode(wider)).decode().rstrip("=")
    with pytest.raises(PermitForged):
        verify(f"{body}.{signature}", KEY, broker="paper", now_us=0)


@settings(max_examples=200)
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_no_changed_bit_passes(position: int, bit: int) -> None:
    """A flipped bit of body or signature is never taken for another permit."""
    text = issue(PERMIT, KEY)
    body, _, signature = text.partition(".")
    raw = [bytearray(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (body, signature)]
    joined = raw[0] + raw[1]
    joined[position % len(joined)] ^= 1 << bit
    parts = (bytes(joined[: len(raw[0])]), bytes(joined[len(raw[0]) :]))
    changed = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    with pytest.raises(PermitForged):
        verify(changed, KEY, broker="paper", now_us=0)


@settings(max_examples=100)
@given(text=st.text(max_size=200))
def test_nonsense_is_forged(text: str) -> None:
    with pytest.raises(PermitError):
        verify(text, KEY, broker="paper", now_us=0)


def test_short_keys_and_permits_without_limits_are_not_issued(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        issue(PERMIT, b"short")
    with pytest.raises(ValueError, match="limits"):
        issue(msgspec.structs.replace(PERMIT, limits=None), KEY)
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ValueError, match="at least 32 bytes"):
        read_key(tmp_path / "key")


def test_limits_are_the_manifests() -> None:
    spec = StrategySpec(
        broker_ref=BrokerRef(name="paper"),
        symbols=("BTC/USDT",),
        rules=Rules(entry="close > 1"),
        capital=Capital(amount="1000", per_trade="100", max_positions=3),
        risk=Risk(max_orders_per_minute=7, max_daily_loss="50", price_collar="1.5%", stale_after="2s"),
    )
    limits = limits_of(spec)
    assert (limits.amount, limits.per_trade, limits.max_positions) == (Decimal(1000), Decimal(100), 3)
    assert (limits.max_orders_per_minute, limits.max_daily_loss) == (7, Decimal(50))
    assert (limits.price_collar, limits.stale_after_us) == (Decimal("0.015"), 2_000_000)
