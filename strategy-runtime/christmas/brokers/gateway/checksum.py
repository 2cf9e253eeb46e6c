"""What tells a journal that is whole from one that a disk has changed: a chain over its entries, and where it ended.

SQLite notices most broken pages, and none whose content alone has changed; and of a write-ahead log with a broken
frame it drops, without a word, all that was committed behind it. So each entry carries a sum of itself and of the
entry before it (signals, which are removed once they are recorded, of themselves only), and a file of eight bytes
beside the journal says how far the journal was known to be on disk.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from christmas.execution.journal import SignalNoted

UNCHAINED: Final = str(SignalNoted.__struct_config__.tag)
"""The kind whose entries may go."""
_HEAD_BYTES: Final = 8


class Written(NamedTuple):
    """An entry as it is in the journal."""

    sequence: int
    kind: str
    owner: str
    client_order_id: str
    body: bytes


def chained(previous: int, entry: Written) -> int:
    """The sum of an entry; ``previous`` is that of the last one before it that is not of the kind `UNCHAINED`."""
    sequence, kind, owner, client_order_id, body = entry
    start = 0 if kind == UNCHAINED else previous
    return zlib.crc32(body, zlib.crc32(f"{sequence}|{kind}|{owner}|{client_order_id}|".encode(), start))


class Head:
    """The last sequence that was on disk, in a file beside the journal.

    Written after each commit and not synced: it may say too little after a power cut, never too much.
    """

    def __init__(self, journal: Path) -> None:
        """Raises OSError."""
        self.path = journal.with_suffix(".head")
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> int:
        """0 when there is none yet."""
        return int.from_bytes(os.pread(self._file, _HEAD_BYTES, 0), "big")

    def write(self, sequence: int) -> None:
        """Raises OSError."""
        os.pwrite(self._file, sequence.to_bytes(_HEAD_BYTES, "big"), 0)

    def close(self) -> None:
        os.close(self._file)
