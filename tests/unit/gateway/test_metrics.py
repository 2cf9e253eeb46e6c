"""What a gateway counts by few names is there from the start: a first step from nothing is seen by no query."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRESH = """
from prometheus_client import generate_latest
from christmas.brokers.gateway import metrics
print(generate_latest().decode())
"""


@pytest.fixture(scope="module")
def exposed() -> str:
    return subprocess.run([sys.executable, "-c", FRESH], check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize(
    "series",
    [
        'christmas_gateway_foreign_total{what="fill"}',
        'christmas_gateway_foreign_total{what="order"}',
        'christmas_gateway_refused_total{code="PermitForged"}',
        'christmas_gateway_denied_total{reason="DailyLoss"}',
        'christmas_gateway_venue_errors_total{kind="timeout"}',
        'christmas_gateway_ticks_refused_total{why="quarantined"}',
        "christmas_gateway_late_fills_total",
    ],
)
def test_a_gateway_that_just_began_shows_zero(exposed: str, series: str) -> None:
    assert f"\n{series} 0.0\n" in exposed
