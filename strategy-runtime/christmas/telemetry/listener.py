"""A unix socket that whoever finds it can connect to."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_BACKLOG: Final = 100


def listen_at(path: Path) -> socket.socket:
    """A socket that listens at ``path``, open to our own user only; what lay there is replaced.

    It gets its name last: between the bind of a socket and its listening a peer that finds it is refused, and
    before its mode is set anybody may connect. Raises OSError.
    """
    # Short: a unix socket's path has at most 107 bytes, and that of ``path`` was chosen to fit.
    unfinished = path.with_name(f".{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(unfinished))
        unfinished.chmod(0o600)
        listener.listen(_BACKLOG)
        unfinished.replace(path)
    except BaseException:
        listener.close()
        unfinished.unlink(missing_ok=True)
        raise
    return listener
