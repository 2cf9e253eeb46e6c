"""A whole fleet for a benchmark: started with ``christmas up`` in temporary folders, looked at from outside, and
gone afterwards, however the benchmark ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Self, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from christmas.telemetry.settings import ProcessStatus

CHRISTMAS: Final = str(Path(sys.executable).parent / "christmas")
_HTTP_S: Final = 5.0
_STOP_S: Final = 45.0
_POLL_S: Final = 0.05
T = TypeVar("T")


class FleetFailed(Exception):
    """The fleet did not do what the benchmark needs; the text has its last words."""


class Histogram(msgspec.Struct, frozen=True):
    """A Prometheus histogram: upper bounds (seconds, the last is infinite) and cumulative counts."""

    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        return int(self.counts[-1]) if self.counts else 0

    def __sub__(self, earlier: Histogram) -> Histogram:
        """What was observed since ``earlier``."""
        before = earlier.counts or (0.0,) * len(self.counts)
        return Histogram(self.bounds, tuple(a - b for a, b in zip(self.counts, before, strict=True)))

    def __add__(self, other: Histogram) -> Histogram:
        """Both together."""
        if not other.counts:
            return self
        if not self.counts:
            return other
        return Histogram(self.bounds, tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    def quantile(self, part: float) -> tuple[float, float]:
        """(interpolated within its bucket, the bucket's upper bound); NaN when nothing was observed."""
        if not self.n:
            return float("nan"), float("nan")
        rank = part * self.counts[-1]
        at = bisect_left(self.counts, rank)
        upper = self.bounds[at]
        lower = self.bounds[at - 1] if at else 0.0
        below = self.counts[at - 1] if at else 0.0
        if upper == float("inf"):
            return lower, upper
        return lower + (upper - lower) * (rank - below) / (self.counts[at] - below), upper


class Metrics:
    """One scrape of one process."""

    def __init__(self, text: str) -> None:
        self._families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        """The sum of a gauge or counter over all series that have these labels; 0 when there is none."""
        family = self._families.get(name.removesuffix("_total"))
        return sum(
            sample.value
            for sample in (family.samples if family is not None else ())
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def histogram(self, name: str) -> Histogram:
        """Of a histogram without labels."""
        family = self._families.get(name)
        buckets = sorted(
            (float(sample.labels["le"]), sample.value)
            for sample in (family.samples if family is not None else ())
            if sample.name == f"{name}_bucket"
        )
        return Histogram(tuple(bound for bound, _ in buckets), tuple(count for _, count in buckets))


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one process holds and has used."""

    kind: str
    """supervisor, store, gateway, recorder or runtime."""
    name: str
    pid: int
    rss_bytes: int
    cpu_s: float


class Fleet:
    """``christmas up`` over manifests of the benchmark's own, with embedded stores."""

    def __init__(self, manifests: Mapping[str, str] | Path, *arguments: str) -> None:
        """``manifests``: text by file name, or a folder of them."""
        self.folder = Path(tempfile.mkdtemp(prefix="cxmas-bench-"))
        self.state = self.folder / "state"
        self._manifests = manifests
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        """When the supervisor's process was started, perf_counter."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def output(self) -> str:
        """What the supervisor has written so far."""
        file = self.folder / "output.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the fleet has not been started"
        return self._process

    def _start(self) -> None:
        if isinstance(self._manifests, Path):
            source = self._manifests
        else:
            source = self.folder / "manifests"
            source.mkdir()
            for name, text in self._manifests.items():
                (source / name).write_text(text)
        stores = {"REDIS_URL", "DATABASE_URL", "CHRISTMAS_STATE"}
        environment = {name: value for name, value in os.environ.items() if name not in stores}
        with (self.folder / "output.log").open("wb") as output:
            self.started_at = time.perf_counter()
            self._process = subprocess.Popen(
                [CHRISTMAS, "up", str(source), "--state", str(self.state), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def close(self) -> None:
        """As Ctrl-C; what has not gone after a while is killed."""
        process = self._process
        if process is not None:
            members = [psutil.Process(usage.pid) for usage in self.usage() if psutil.pid_exists(usage.pid)]
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            # They die with the supervisor; should one not, it must not disturb what is measured next.
            for left in psutil.wait_procs(members, timeout=5.0)[1]:
                with contextlib.suppress(psutil.Error):
                    left.kill()
            self._process = None
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)

    # --- looking -------------------------------------------------------------------------------

    def wait_for(self, what: str, look: Callable[[], T | None], within_s: float) -> T:
        """The first answer of ``look`` that is not None; raises FleetFailed when there is none in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self.supervisor.poll() is not None:
                raise FleetFailed(f"the fleet ended while waiting for {what}:\n{self.output[-2000:]}")
            answer = look()
            if answer is not None:
                return answer
            time.sleep(_POLL_S)
        raise FleetFailed(f"no {what} within {within_s:.0f} s:\n{self.output[-2000:]}")

    def status(self, kind: str, name: str) -> ProcessStatus | None:
        """What a process wrote when it began to listen; None before, and for another process than the present."""
        file = self.state / "processes" / f"{kind}-{name}" / "status.json"
        try:
            status = msgspec.json.decode(file.read_bytes(), type=ProcessStatus)
        except (OSError, msgspec.MsgspecError):
            return None
        return status if psutil.pid_exists(status.pid) else None

    def metrics(self, kind: str, name: str) -> Metrics | None:
        """None when the process does not answer."""
        text = self._get(kind, name, "metrics")
        return None if text is None else Metrics(text)

    def is_ready(self, kind: str, name: str) -> bool:
        return self._get(kind, name, "readyz") is not None

    def _get(self, kind: str, name: str, page: str) -> str | None:
        status = self.status(kind, name)
        if status is None:
            return None
        try:
            with urlopen(f"http://127.0.0.1:{status.http_port}/{page}", timeout=_HTTP_S) as answer:
                text: str = answer.read().decode()
                return text
        except (OSError, URLError):
            return None

    def usage(self) -> list[Usage]:
        """All processes of the fleet that run now; what PostgreSQL forks counts to its store."""
        if self._process is None or self._process.poll() is not None:
            return []
        found = []
        with contextlib.suppress(psutil.Error):
            supervisor = psutil.Process(self._process.pid)
            found.append(_usage("supervisor", "supervisor", supervisor))
            for child in supervisor.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found.append(_usage(*_kind_and_name(child.cmdline()), child))
        return found

    def log(self, kind: str, name: str) -> str:
        file = self.state / "logs" / f"{kind}-{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""


def _usage(kind: str, name: str, process: psutil.Process) -> Usage:
    with process.oneshot():
        times = process.cpu_times()
        return Usage(
            kind=kind,
            name=name,
            pid=process.pid,
            rss_bytes=process.memory_info().rss,
            cpu_s=times.user + times.system,
        )


def _kind_and_name(command: Sequence[str]) -> tuple[str, str]:
    for word in command:
        for kind in ("gateway", "recorder", "runtime"):
            _, found, rest = word.partition(f"/processes/{kind}-")
            if found:
                return kind, rest.partition("/")[0]
    return "store", "valkey" if any("valkey" in word for word in command[:1]) else "postgres"


@contextlib.contextmanager
def ending_cleanly() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that a benchmark that is stopped cleans up too."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def machine() -> str:
    """What it ran on, in one line."""
    model = "unknown processor"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores, {model}, {memory:.0f} GiB, Python {sys.version.split()[0]}"
