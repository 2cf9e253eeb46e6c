"""What the feeds count."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

MESSAGES = Counter("christmas_feed_messages_total", "Rows or messages that a feed has read, prints or not", ["feed"])
RECONNECTS = Counter("christmas_feed_reconnects_total", "Times a feed had to connect again", ["reason"])
DUPLICATES = Counter("christmas_feed_duplicates_total", "Prints that an exchange sent again")
SKIPPED_SPANS = Counter("christmas_feed_skipped_spans_total", "Times a feed fell so far behind that it skipped to now")
QUEUE = Gauge("christmas_feed_queue_prints", "Prints received and not yet taken by the gateway")
