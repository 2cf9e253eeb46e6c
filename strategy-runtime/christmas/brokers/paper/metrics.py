"""What the paper venue counts."""

from __future__ import annotations

from prometheus_client import Counter

LATE_ARRIVALS = Counter(
    "christmas_paper_late_arrivals_total",
    "Orders and cancels that came after the market time at which they should have taken effect",
    ["request"],
)
SKIPPED_PRINTS = Counter(
    "christmas_paper_skipped_prints_total", "Prints that were late, out of time order or shown before: not matched"
)
FAULTS = Counter("christmas_paper_faults_total", "Misbehaviour shown on request", ["fault"])
LEDGER_WRITES = Counter("christmas_paper_ledger_writes_total", "Transactions written to the venue's ledger")
