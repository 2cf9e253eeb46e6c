"""Starting a process that never outlives its supervisor, sees no secret in its environment, and has limits."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_KEEPCAPS: Final = 8
_PR_SET_SECUREBITS: Final = 28
_SECBIT_NO_SETUID_FIXUP: Final = 1 << 2
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_OVERRIDE: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522

_libc: ctypes.CDLL | None = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def scrubbed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Only what a Python process needs to start: whatever secret the user's shell holds stays there."""
    return {name: value for name, value in environment.items() if name in {"PATH", "LANG"} or name.startswith("PYTHON")}


def before_exec(
    *, parent_death_signal: signal.Signals, data_limit_bytes: int | None = None, run_as: pwd.struct_passwd | None = None
) -> Callable[[], None]:
    """What the child does between fork and exec. Everything it needs is looked up here, before the fork."""
    parent = os.getpid()

    def prepare() -> None:
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if data_limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (data_limit_bytes, data_limit_bytes))
        if run_as is not None:
            _become(run_as)
        if _libc is not None:
            # After the change of user, which clears it.
            _libc.prctl(_PR_SET_PDEATHSIG, int(parent_death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def store_user() -> pwd.struct_passwd | None:
    """As whom PostgreSQL runs when we are root, which it refuses to be; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _become(user: pwd.struct_passwd) -> None:
    """Change to ``user`` and keep, of root's powers, only the passing of file permissions.

    So the embedded PostgreSQL reads its binaries and its data inside folders that only root may enter,
    and no folder has to be opened to everyone for it.
    """
    if _libc is None:
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        return
    _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    # Without it access(2), by which initdb looks for its server, judges as if there were no such power. Where it is not
    # allowed (a container without CAP_SETPCAP) the line above still keeps the power for open and exec.
    _libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    mask = 1 << _CAP_DAC_OVERRIDE
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)(_CapabilityData(mask, mask, mask), _CapabilityData(0, 0, 0))
    _libc.capset(ctypes.byref(header), ctypes.byref(data))
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
