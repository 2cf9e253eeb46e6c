"""What decoding bytes from outside may raise."""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Of msgspec: not of the type, not UTF-8, or brackets in brackets without end. Only the first is its own error."""
