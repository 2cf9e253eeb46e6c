"""What a runtime counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005, 0.0075,
    0.01, 0.02, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip

TICKS = Counter("christmas_runtime_ticks_total", "Ticks that the engine was shown.", ["symbol"])
WARM_UP_BARS = Gauge("christmas_runtime_warm_up_bars", "Bars of history at the start.", ["symbol"])
INTENTS = Counter("christmas_runtime_intents_total", "Orders and cancellations that the engine decided on.", ["kind"])
SIGNALS = Counter("christmas_runtime_signals_total", "Rules that fired.", ["signal", "taken"])
SIGNAL_TO_ORDER = Histogram(
    "christmas_runtime_signal_to_order_seconds",
    "From the message that made the engine decide to the gateway's word of the order at the venue, both ways included.",
    buckets=LATENCY_BUCKETS,
)
DECISION = Histogram(
    "christmas_runtime_decision_seconds",
    "How long the engine took for one message of the stream.",
    buckets=LATENCY_BUCKETS,
)
TICK_LAG = Histogram(
    "christmas_runtime_tick_lag_seconds",
    "From a print's exchange time, by this machine's clock, until the engine has seen it; not of recorded prints.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
SESSIONS = Counter("christmas_runtime_sessions_total", "Sessions opened with the gateway.")
RESENT = Counter("christmas_runtime_resent_total", "Intents sent again after a reconnect, with the same order id.")
WAITING = Gauge("christmas_runtime_waiting", "1 while it waits for its gateway, or for Redis.", ["what"])
TRADING = Gauge("christmas_runtime_trading", "1 while entries are allowed.")
POSITIONS = Gauge("christmas_runtime_open_positions", "Open positions.")
REALISED = Gauge("christmas_runtime_realised_pnl", "Realised profit and loss of closed positions, quote currency.")
UNREALISED = Gauge("christmas_runtime_unrealised_pnl", "Open positions at the last price, quote currency.")
CLOSED = Gauge("christmas_runtime_closed_trades", "Closed positions.")
START = Gauge("christmas_runtime_start_seconds", "From the process's start to its first answer to the market.")
