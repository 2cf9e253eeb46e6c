"""Random lives of a gateway against the reference model; and the lives that once went wrong."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.model.machine import OrderLife

EXAMPLES = int(os.environ.get("CHRISTMAS_MODEL_EXAMPLES", "0"))
"""More than none: so many lives, others each time. Without it a few, always the same ones."""

OrderLife.TestCase.settings = settings(
    max_examples=EXAMPLES or 40,
    stateful_step_count=60 if EXAMPLES else 30,
    deadline=None,
    derandomize=not EXAMPLES,
    # A long run is to find; what it finds is printed as it was, and made small afterwards.
    phases=(Phase.generate,) if EXAMPLES else (Phase.generate, Phase.shrink),
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
TestOrderLife = pytest.mark.timeout(max(120, 5 * EXAMPLES))(OrderLife.TestCase)
