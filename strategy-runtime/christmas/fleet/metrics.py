"""What the supervisor exports about the processes that it runs."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

RESIDENT = Gauge("christmas_fleet_process_resident_bytes", "Resident memory of a process.", ["kind", "name"])
CPU = Gauge("christmas_fleet_process_cpu_ratio", "CPU of a process over the last second, in cores.", ["kind", "name"])
READY = Gauge("christmas_fleet_process_ready", "1 when the process answers /readyz with ok.", ["kind", "name"])
RESTARTS = Gauge("christmas_fleet_process_restarts", "Restarts since the supervisor started.", ["kind", "name"])
EXITS = Counter("christmas_fleet_process_exits_total", "Exits of processes, by how they ended.", ["kind", "how"])
OOM_KILLS = Counter("christmas_fleet_oom_kills_total", "Processes killed over their memory limit.", ["kind", "name"])
ROUND = Gauge("christmas_fleet_round_seconds", "How long the last round of the reconciliation took.")
