"""Something to see when nothing happens: an object of our own, written from time to time, seen through the watch."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from christmas_operator import metrics
from christmas_operator.informer.canary import Canary
from christmas_operator.kube.client import ApiClient, Json
from christmas_operator.kube.errors import ApiError
from christmas_operator.kube.kinds import CONFIG_MAP
from christmas_operator.kube.views import version_of

logger = logging.getLogger(__name__)


async def beat(
    api: ApiClient,
    canary: Canary,
    *,
    namespace: str,
    name: str,
    every_s: float,
    owners: Callable[[], Sequence[Json]],
) -> None:
    """Writes when no other write has been seen for ``every_s``; `Canary.trouble` tells what became of it.

    ``owners``: with whom the object goes, as ownerReferences; nobody else would remove it.
    """
    while True:
        await asyncio.sleep(every_s * random.uniform(0.5, 0.6))
        metrics.WATCH_LAG.set(canary.lag_s)
        if time.monotonic() - canary.heard_at < every_s or canary.lag_s > 0:
            continue
        try:
            live = await api.apply(
                {
                    "apiVersion": "v1",
                    "kind": CONFIG_MAP.kind,
                    "metadata": {
                        "name": name,
                        "namespace": namespace,
                        "ownerReferences": list(owners()),
                        "labels": {
                            "app.kubernetes.io/name": "christmas",
                            "app.kubernetes.io/component": "operator",
                            "app.kubernetes.io/instance": name,
                            "app.kubernetes.io/managed-by": "christmas-operator",
                        },
                    },
                    "data": {"beat": str(int(time.time()))},
                }
            )
        except ApiError as error:
            logger.warning("the canary is not written", extra={"reason": error.reason, "error": str(error)})
            continue
        metadata = live["metadata"]
        canary.wrote(CONFIG_MAP.kind, metadata["uid"], version_of(metadata), 0)
