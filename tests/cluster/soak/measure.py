"""What the parts of an installation take at one moment: of the node's processes, and as the stores tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.cluster import node
from tests.cluster.helm import CommandFailed, Namespace

Object = dict[str, Any]

_MODULES: Final = {
    "operator": "christmas_operator",
    "gateway": "christmas.brokers.gateway",
    "recorder": "christmas.ingestion.recorder",
    "runtime": "christmas.runtime",
}
_MIB: Final = 1024 * 1024
_KEYS: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key)['ok']
  local size = 1
  if kind == 'stream' then size = redis.call('XLEN', key)
  elseif kind == 'zset' then size = redis.call('ZCARD', key)
  elseif kind == 'hash' then size = redis.call('HLEN', key) end
  found[#found + 1] = key .. '\\t' .. size
end
return found
"""


class Limit(NamedTuple):
    per_hour: float
    why: str


LIMITS: Final[dict[str, Limit]] = {
    "operator rss MiB": Limit(10, "allocator and caches; a leak of 16 KiB for each of 700 actions would be more"),
    "operator fds": Limit(6, "watches and pools open and close"),
    "operator threads": Limit(3, "a pool's size"),
    "operator queue": Limit(5, "it is to be empty whenever all has come to rest"),
    "gateway rss MiB": Limit(16, "3,000 closed positions at most; a little of each Strategy there has been"),
    "gateway fds": Limit(6, "as many sessions as Strategies that run"),
    "gateway threads": Limit(3, "a pool's size"),
    "recorder rss MiB": Limit(10, "allocator; it keeps nothing but batches"),
    "recorder fds": Limit(4, "connections to two stores"),
    "recorder threads": Limit(3, "a pool's size"),
    "runtime steady-eager rss MiB": Limit(8, "its closed trades and bars"),
    "runtime steady-rules rss MiB": Limit(8, "its closed trades and bars"),
    "redis memory besides events MiB": Limit(8, "ticks and journals are trimmed; the stream of events has a bound"),
    "redis keys": Limit(40, "a status line of each Strategy, until it expires"),
    "redis clients": Limit(12, "connections of Strategies that run"),
    "postgres connections": Limit(6, "pools of the recorder; runtimes read once"),
}
"""What may grow by how much an hour with the number of Strategies the same. The rest is only told."""


class Measured(NamedTuple):
    values: dict[str, float]
    processes: dict[str, str]
    """Which process a value is of, by the first word(s) of its name."""
    streams: dict[str, int]
    """Entries by key in Redis; status lines are counted together."""


class Meter:
    def __init__(self, namespace: Namespace, steady: list[str]) -> None:
        self._namespace = namespace
        self._steady = steady
        self._redis_password = namespace.stores()["redis-password"]

    def measure(self, objects: list[Object]) -> Measured:
        """``objects``: with the namespace's pods among them. What cannot be had now is left out."""
        values: dict[str, float] = {}
        processes: dict[str, str] = {}
        for what, pod, module in self._pods(objects):
            pid = node.process_of(pod["metadata"]["uid"], module)
            if pid is None:
                continue
            processes[what] = str(pid)
            values |= {f"{what} {name}": value for name, value in _taken(pid).items()}
            if what == "gateway":
                state = Path(f"/proc/{pid}/root/var/lib/christmas")
                for file in ("journal.sqlite", "venue.sqlite"):
                    sizes = [one.stat().st_size for one in state.glob(f"{file}*")]
                    values[f"gateway {file} MiB"] = sum(sizes) / _MIB
            if what == "operator":
                values |= self._of_operator(pod)
        streams = self._redis(values)
        values["postgres connections"] = float(self._namespace.query("SELECT count(*) FROM pg_stat_activity"))
        values["postgres MiB"] = float(self._namespace.query("SELECT pg_database_size('christmas')")) / _MIB
        return Measured(values, processes, streams)

    def _pods(self, objects: list[Object]) -> list[tuple[str, Object, str]]:
        found = []
        for pod in (one for one in objects if one["kind"] == "Pod"):
            labels = pod["metadata"].get("labels") or {}
            what = labels.get("app.kubernetes.io/component", "")
            if what == "runtime":
                if labels["christmas.dev/strategy"] in self._steady:
                    found.append((f"runtime {labels['christmas.dev/strategy']}", pod, _MODULES[what]))
            elif what in _MODULES:
                found.append((what, pod, _MODULES[what]))
        return found

    def _of_operator(self, pod: Object) -> dict[str, float]:
        path = f"/api/v1/namespaces/{self._namespace.name}/pods/{pod['metadata']['name']}:9400/proxy/metrics"
        try:
            lines = self._namespace.kubectl("get", "--raw", path).splitlines()
        except CommandFailed:
            return {}

        def total(name: str) -> float:
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

        return {
            "operator queue": total("christmas_operator_queue_objects"),
            "operator delayed": total("christmas_operator_queue_delayed_objects"),
            "operator errors": total("christmas_operator_errors_total"),
            "operator writes": total("christmas_operator_api_writes_total"),
            "operator drift repairs": total("christmas_operator_drift_repairs_total"),
        }

    def _redis(self, values: dict[str, float]) -> dict[str, int]:
        info = dict(line.split(":", 1) for line in self._ask_redis("INFO").splitlines() if ":" in line)
        keys = [line.split("\t") for line in self._ask_redis("EVAL", _KEYS, "0").splitlines() if "\t" in line]
        events = float(self._ask_redis("MEMORY", "USAGE", "events", "SAMPLES", "0").strip() or 0)
        values["redis memory MiB"] = float(info["used_memory"]) / _MIB
        values["redis memory besides events MiB"] = (float(info["used_memory"]) - events) / _MIB
        values["redis clients"] = float(info["connected_clients"])
        values["redis keys"] = len(keys)
        streams: dict[str, int] = {}
        for key, size in keys:
            family = "status:*" if key.startswith("status:") else key
            streams[family] = streams.get(family, 0) + int(size)
        return streams

    def _ask_redis(self, *words: str) -> str:
        environment = f"REDISCLI_AUTH={self._redis_password}"
        command = ("env", environment, "redis-cli", "--user", "christmas", "--no-auth-warning", *words)
        return self._namespace.kubectl("exec", "christmas-redis-0", "--", *command)


def _taken(pid: int) -> dict[str, float]:
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    return {
        "rss MiB": int(status["VmRSS"].split()[0]) / 1024,
        "threads": float(status["Threads"]),
        "fds": float(len(list((folder / "fd").iterdir()))),
    }


def listed(namespace: Namespace, kinds: str) -> list[Object]:
    found: list[Object] = json.loads(namespace.kubectl("get", kinds, "-o", "json"))["items"]
    return found
