"""What the operator is told when it starts: one JSON file, mounted from a ConfigMap."""

from __future__ import annotations

import msgspec

from christmas.telemetry.settings import ProcessSettings


class StoresSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Secret with the URLs of Redis and of the database."""

    namespace: str
    name: str


class OperatorSettings(ProcessSettings, frozen=True, kw_only=True):
    """``redis_url`` and ``database_url`` are not read here: the stores' Secret has them for the pods."""

    name: str = "operator"
    redis_url: str = ""
    namespace: str
    """The operator's own."""
    runtime_image: str
    """Of runtimes and gateways whose manifest names none."""
    image_pull_policy: str = "IfNotPresent"
    stores_secret: StoresSecret
    watch_namespaces: tuple[str, ...] = ()
    """Empty: all of the cluster, which needs a ClusterRole."""
    lease_name: str = "christmas-operator"

    @property
    def installation(self) -> str:
        """What marks its workloads as looked after by this operator and its stand-bys, and by no other."""
        return f"{self.namespace}/{self.lease_name}"

    lease_seconds: int = 30
    """How long a lost operator's place stays taken. It is renewed each third of this."""
    resync_seconds: int = 600
    """Each object is looked at once in this span also when nothing happened to it."""
    canary_seconds: int = 60
    workers: int = 8
    """Objects that are worked on at one time."""
    rolls_per_broker: int = 5
    """Strategies of one Broker that are restarted at one time for an update, by whatever it was changed."""
    writes_per_second: float = 150.0
    """To the API server, on average; twice as many at once."""
    deletion_deadline_seconds: int = 120
    """A Strategy is let go after it, also when its gateway does not answer."""
    kubeconfig: str | None = None
    """None: the pod's own service account, or KUBECONFIG."""
