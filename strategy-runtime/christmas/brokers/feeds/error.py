"""What goes wrong with a feed for good."""

from __future__ import annotations


class FeedError(Exception):
    """A feed cannot go on; the text names the place (file, line, column) and the mend."""
