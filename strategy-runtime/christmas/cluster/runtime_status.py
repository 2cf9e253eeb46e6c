"""What strategies are doing now, asked of their pods through the API server's proxy."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from christmas.cluster.api import Api, segment
from christmas.cluster.errors import ClusterError
from christmas.cluster.pods import PodView
from christmas.telemetry.status import STATUS_PATH, RuntimeStatus

HTTP_PORT: Final = 9400
_WITHIN_S: Final = 5.0
_AT_ONCE: Final = 8


def read_statuses(api: Api, pods: Sequence[PodView]) -> list[RuntimeStatus | str]:
    """For each pod its runtime's status, or why there is none."""
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as workers:
        return list(workers.map(lambda pod: _read(api, pod), pods))


def _read(api: Api, pod: PodView) -> RuntimeStatus | str:
    path = f"/api/v1/namespaces/{segment(pod.namespace)}/pods/{segment(pod.name)}:{HTTP_PORT}/proxy{STATUS_PATH}"
    try:
        return msgspec.json.decode(api.text(path, within_s=_WITHIN_S), type=RuntimeStatus)
    except ClusterError as error:
        return f"its runtime does not answer: {error}"
    except msgspec.MsgspecError as error:
        return f"its runtime answers of another version: {error}"
