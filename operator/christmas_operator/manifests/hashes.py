"""Content hashes that objects are named by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def config_hash(data: Mapping[str, str]) -> str:
    """Ten hexadecimal digits of a ConfigMap's content."""
    digest = hashlib.blake2b(digest_size=5)
    for key in sorted(data):
        for part in (key, data[key]):
            raw = part.encode()
            digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()
