"""kopf, told to do nothing but watch: its handlers hand events on, and it writes to no object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import kopf
from kopf import OperatorRegistry, OperatorSettings
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from christmas_operator.informer.intake import Intake
from christmas_operator.kube.kinds import RESOURCES, Kind
from christmas_operator.kube.session import Connection

MANAGED: Final = "app.kubernetes.io/managed-by=christmas-operator"
_CHUNK: Final = 500
_IDLE_S: Final = 0.1
"""kopf keeps a task per object so long after its last event: thousands of objects must not mean thousands of tasks."""
_EXIT_WITHIN_S: Final = 20.0


class _NoMemories(ResourceMemories):
    """kopf keeps about 2 KiB for each object that it has ever seen, for handlers that we have none of."""

    async def recall(self, raw_body: Any, **options: Any) -> ResourceMemory:
        return await super().recall(raw_body, **{**options, "ephemeral": True})


def watch_settings() -> OperatorSettings:
    settings = OperatorSettings()
    # Nothing of its own in the cluster: no events, no peering, no scan for new kinds and namespaces.
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = _CHUNK
    settings.watching.reconnect_backoff = 1.0
    settings.queueing.idle_timeout = _IDLE_S
    settings.process.ultimate_exiting_timeout = _EXIT_WITHIN_S
    return settings


async def watch(
    connection: Connection,
    intake: Intake,
    kinds: Sequence[Kind],
    namespaces: Sequence[str],
    *,
    stop: asyncio.Event,
) -> None:
    """Feeds ``intake`` until ``stop`` is set; raises when kopf gives up."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    registry, settings = OperatorRegistry(), watch_settings()

    async def login(**_: object) -> kopf.AiohttpSession:
        """Once more when the API server refused the last: by then a token may be another."""
        return kopf.AiohttpSession(aiohttp_session=connection.open_session(), server=connection.server)

    kopf.on.login(registry=registry)(login)
    for kind in kinds:
        _hand_on(registry, kind, intake)
        if kind not in RESOURCES:
            settings.watching.label_selectors[kind.group or "", kind.version, kind.plural] = MANAGED
    await kopf.operator(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
        memories=_NoMemories(),
    )


def _hand_on(registry: OperatorRegistry, kind: Kind, intake: Intake) -> None:
    async def handler(*, event: Mapping[str, Any], **_: object) -> None:
        intake.event(kind, event["type"], event["object"])

    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)(handler)
