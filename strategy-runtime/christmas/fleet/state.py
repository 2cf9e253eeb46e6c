"""The one folder in which an installation's state lies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec

from christmas.brokers.permit import MINIMUM_KEY_BYTES
from christmas.fleet.errors import FleetError
from christmas.resources.broker import Broker
from christmas.resources.load import identity
from christmas.resources.strategy import Strategy
from christmas.resources.validate import Resource
from christmas.telemetry.unreadable import UNREADABLE

_SOCKET_FOLDER_MAXIMUM: Final = 70
"""A unix socket's path has at most 107 bytes; this leaves room for the names we give."""
_LOST: Final = ""
"""In the place of a uid: from where epochs go on for a strategy that has none, after they were lost."""
_SAFE_NAME: Final = re.compile(r"^[a-z0-9-]+$")


class _Installation(msgspec.Struct, frozen=True, kw_only=True):
    session_id: str


def default_state_folder(environment: dict[str, str] | os._Environ[str] = os.environ) -> Path:
    """``CHRISTMAS_STATE``, else ``christmas`` in the user's XDG state folder."""
    named = environment.get("CHRISTMAS_STATE")
    if named:
        return Path(named).expanduser().absolute()
    base = environment.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(base) / "christmas"


class StateFolder:
    """Paths in the folder, and its small files: written whole or not at all, readable by the owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None
        self._epochs: dict[str, int] | None = None

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def manifests(self) -> Path:
        return self.path / "manifests"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def sockets(self) -> Path:
        """Where unix sockets lie: in the folder, or where its path is too long for one, in the temporary folder."""
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= _SOCKET_FOLDER_MAXIMUM:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"christmas-{os.getuid()}-{digest}"

    @property
    def control_socket(self) -> Path:
        return self.sockets / "control.sock"

    def socket(self, kind: str, name: str) -> Path:
        short = name if len(name) <= 20 else hashlib.sha256(name.encode()).hexdigest()[:20]
        return self.sockets / f"{kind[0]}-{short}.sock"

    def process(self, kind: str, name: str) -> Path:
        """The folder of one process's settings and status."""
        return self.path / "processes" / f"{kind}-{name}"

    def data(self, kind: str, name: str) -> Path:
        """The folder of what one process keeps: a gateway's journal."""
        return self.path / "data" / f"{kind}-{name}"

    def log(self, kind: str, name: str) -> Path:
        return self.logs / f"{kind}-{name}.log"

    # --- making and locking it -----------------------------------------------------------------

    def prepare(self) -> None:
        """Make the folders; refuses a folder that belongs to someone else."""
        for folder in (self.path, self.manifests, self.logs, self.path / "processes", self.path / "data", self.sockets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Also where it lies in the temporary folder, in which anybody may put a link.
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
                raise FleetError(
                    f"{folder} belongs to another user, or is a link", "choose another folder with --state"
                )
        self.path.chmod(0o700)
        self.sockets.chmod(0o700)
        if not self._installation_file.exists() and not self._epochs_file.exists():
            # From here on a file of epochs that is not there was lost.
            write_private(self._epochs_file, b"{}")

    def lock(self) -> None:
        """Become the one supervisor of this state; held until the process ends."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise FleetError(
                f"a fleet runs from {self.path} already (pid {holder})",
                "use `christmas apply`, stop it, or choose another folder with --state",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def unlock(self) -> None:
        """When nothing of it runs any more."""
        if self._lock is not None:
            if self.sockets.parent != self.path:
                shutil.rmtree(self.sockets, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def supervisor_pid(self) -> int | None:
        """The pid of the supervisor that holds the lock, None when none does."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(descriptor, 32).decode(errors="replace").strip()
            return int(text) if text.isdigit() else None
        finally:
            os.close(descriptor)
        return None

    # --- small files -----------------------------------------------------------------------------

    def session_id(self) -> str:
        """The installation's name in the database, made up once."""
        file = self._installation_file
        if file.exists():
            try:
                return msgspec.json.decode(file.read_bytes(), type=_Installation).session_id
            except UNREADABLE as error:
                raise FleetError(
                    f"{file} is damaged: {error}",
                    'restore it, or write {"session_id": "local-..."} with the session_id that the database has; '
                    "moved away, this installation goes on as a new one and its history keeps the old name",
                ) from None
        made = _Installation(session_id=f"local-{secrets.token_hex(5)}")
        write_private(file, msgspec.json.encode(made))
        return made.session_id

    @property
    def _installation_file(self) -> Path:
        return self.path / "installation.json"

    def permit_key(self) -> bytes:
        """The key with which permits are signed; only the supervisor and the gateways read it."""
        if not self.permit_key_file.exists():
            write_private(self.permit_key_file, secrets.token_bytes(MINIMUM_KEY_BYTES))
        return self.permit_key_file.read_bytes()

    @property
    def permit_key_file(self) -> Path:
        return self.path / "permit.key"

    def next_epoch(self, strategy_uid: str) -> int:
        """The epoch of a runtime process that is about to start: it grows, and never falls back."""
        epochs = self.epochs()
        # Every epoch before was a count of starts, or of seconds at most: what is lost cannot have been higher.
        epochs[strategy_uid] = epochs.get(strategy_uid, epochs.get(_LOST, 0)) + 1
        write_private(self._epochs_file, msgspec.json.encode(epochs))
        self._epochs = epochs
        return epochs[strategy_uid]

    def epochs(self) -> dict[str, int]:
        """The last epoch of each strategy, by uid. Raises FleetError when the file that keeps them is damaged.

        When the file was lost, epochs go on from the seconds since 1970: above all that were ever given, since
        one grows by one with each start of a process. A gateway refuses for good what is not above.
        """
        if self._epochs is not None:
            return dict(self._epochs)
        file = self._epochs_file
        if not file.exists():
            return {_LOST: int(time.time())}
        try:
            return msgspec.json.decode(file.read_bytes(), type=dict[str, Annotated[int, msgspec.Meta(ge=0)]])
        except UNREADABLE as error:
            raise FleetError(
                f"{file} is damaged: {error}",
                "move it away: epochs then go on from the time of day, above all that were given, so that no older "
                "process is let in and no newer one refused",
            ) from None

    @property
    def _epochs_file(self) -> Path:
        return self.path / "epochs.json"

    # --- manifests ---------------------------------------------------------------------------------

    def stored(self) -> list[Resource]:
        """All applied manifests, Brokers first."""
        found: list[Resource] = []
        for file in sorted(self.manifests.glob("*.json")):
            try:
                found.append(msgspec.json.decode(file.read_bytes(), type=Strategy | Broker))
            except UNREADABLE as error:
                raise FleetError(
                    f"{file}: {error}", "written by another version? Move it away and apply again"
                ) from None
        return sorted(found, key=identity)

    def store(self, resource: Resource) -> None:
        write_private(self._manifest(*identity(resource)), msgspec.json.format(msgspec.json.encode(resource), indent=2))

    def forget(self, kind: str, name: str) -> None:
        self._manifest(kind, name).unlink(missing_ok=True)

    def _manifest(self, kind: str, name: str) -> Path:
        if not _SAFE_NAME.match(name):
            raise FleetError(f"{name!r} is no resource name")
        return self.manifests / f"{kind.lower()}.{name}.json"


def write_private(file: Path, content: bytes) -> None:
    """Replace a file atomically, synced to disk, mode 0600."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
