"""What every process is told when it starts: one JSON file, so that no secret is in an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from christmas.telemetry.unreadable import UNREADABLE

_IN_A_FILE: Final = "file:"


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Common to gateway, runtime and recorder; each extends it."""

    name: str
    redis_url: str
    """redis://, rediss:// or unix://path; or ``file:/path`` of a file that holds it, like every URL here."""
    database_url: str | None = None
    replay_id: str = ""
    """Set in a replay; part of the market's name and of the events key."""
    session_id: str = "default"
    """The installation (or replay) that orders and fills belong to, in the database."""
    http_host: str = "127.0.0.1"
    http_port: int = 0
    """0: any free one; the status file tells which."""
    status_file: str | None = None
    """Where the process writes `ProcessStatus` once it listens."""
    log_format: str = "json"
    log_level: str = "INFO"
    sentry_dsn_file: str | None = None


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    http_port: int
    started_us: int


S = TypeVar("S", bound=ProcessSettings)


def load_settings(kind: type[S], path: str | Path) -> S:
    """Read a settings file, and the files that its URLs name; raises ValueError that names the file and the field."""
    try:
        settings = msgspec.json.decode(Path(path).read_bytes(), type=kind)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; name a settings file that can be read") from error
    except UNREADABLE as error:
        raise ValueError(f"{path}: {error}; mend the file, it is JSON") from error
    read = {}
    for field in kind.__struct_fields__:
        value = getattr(settings, field)
        if field.endswith("_url") and isinstance(value, str) and value.startswith(_IN_A_FILE):
            try:
                read[field] = Path(value.removeprefix(_IN_A_FILE)).read_text().strip()
            except (OSError, ValueError) as error:
                raise ValueError(f"{path}: {field}: {error}; name a file that holds the URL") from error
            if not read[field]:
                raise ValueError(f"{path}: {field}: {value.removeprefix(_IN_A_FILE)} is empty")
    return msgspec.structs.replace(settings, **read)
