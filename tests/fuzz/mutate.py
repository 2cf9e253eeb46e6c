"""Seeds bent out of shape, for where no coverage-guided fuzzer is to be had: endless, and the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

_EDITS_MAXIMUM: Final = 6
_BYTES: Final = b"\x00\xff\x7f\x80\xc2\xb2 \t\n\r\"'{}[](),:;.-+eE019*&!%"


def mutations(seeds: Sequence[bytes], words: Sequence[str], *, start: int = 0) -> Iterator[bytes]:
    """The seeds themselves first, then edited copies."""
    yield from seeds
    chance = random.Random(start)
    encoded = [word.encode() for word in words] or [b"0"]
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, _EDITS_MAXIMUM)):
            _edit(data, chance, encoded, seeds)
        yield bytes(data)


def _edit(data: bytearray, chance: random.Random, words: Sequence[bytes], seeds: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice([1, 1, 2, 8, 64]))
    match chance.randint(0, 6):
        case 0:
            del data[at:end]
        case 1:
            data[at:at] = bytes([chance.choice(_BYTES)]) * chance.choice([1, 1, 1, 30, 5_000])
        case 2:
            data[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
        case 3:
            data[at:at] = chance.choice(words)
        case 4:
            data[at:at] = data[at:end] * chance.choice([1, 2, 100])
        case 5:
            other = chance.choice(seeds)
            cut = chance.randint(0, len(other))
            data[at:] = other[cut:]
        case _:
            del data[at:]
