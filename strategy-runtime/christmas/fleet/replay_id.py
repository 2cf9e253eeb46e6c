"""The name of a replay: a function of what goes in, so that the same replay again has the same name.

Manifests, the files' bytes and the symbol are in it. The speed is not: the same market at 1x and at full
speed is to give the same orders, and with the same name they have the same ids and can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from christmas.resources.load import identity
from christmas.resources.validate import Resource

_CHUNK_BYTES: Final = 1 << 20


def replay_id(resources: Iterable[Resource], files: Sequence[Path], symbol: str | None) -> str:
    """16 hexadecimal digits. The files' order counts, their names and places do not."""
    digest = hashlib.sha256()
    for resource in sorted(resources, key=identity):
        content = (identity(resource), resource.spec)
        digest.update(msgspec.json.encode(content, order="deterministic") + b"\n")
    for file in files:
        digest.update(hash_file(file))
    digest.update((symbol or "").encode())
    return digest.hexdigest()[:16]


def hash_file(file: Path) -> bytes:
    """SHA-256 of a file's bytes; raises OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()
