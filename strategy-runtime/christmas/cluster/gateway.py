"""Commands to a gateway in the cluster, with a permit signed here by the Broker's key."""

from __future__ import annotations

import asyncio
import base64
from typing import Final

from christmas.brokers.admin import AdminError, CommandName, command
from christmas.cluster.api import Api, segment
from christmas.cluster.errors import ClusterError, RefusedError
from christmas.cluster.forward import forwarded
from christmas.cluster.pods import pod_of
from christmas.execution.protocol import CommandResult

SESSION_PORT: Final = 7400


def at_gateway(
    api: Api, broker: str, action: CommandName, *, strategy: str | None = None, reason: str = ""
) -> CommandResult:
    """Raises ClusterError when the gateway is not reached, refuses, or could not do it."""
    key = permit_key(api, broker)
    pod = pod_of(api, "Broker", broker)
    with forwarded(api, pod.namespace, pod.name, SESSION_PORT) as path:
        try:
            result = asyncio.run(
                command(f"unix:{path}", key, broker=broker, action=action, strategy=strategy, reason=reason)
            )
        except AdminError as error:
            raise ClusterError(str(error), f"see `christmas logs broker/{broker}`") from error
    if not result.ok:
        raise ClusterError(result.message)
    return result


def permit_key(api: Api, broker: str) -> bytes:
    """The key that signs permits for this Broker: who may read its Secret may command its gateway."""
    namespace, name = api.cluster.namespace, f"gateway-{broker}-permit-key"
    try:
        secret = api.get(f"/api/v1/namespaces/{segment(namespace)}/secrets/{segment(name)}")
    except RefusedError as error:
        if error.status == 403:
            what = f"commanding the gateway of {broker} takes the right to read Secret {namespace}/{name}"
            mend = f"ask for get on secrets with resourceNames [{name}] in {namespace}"
            raise RefusedError(what, mend, status=error.status) from error
        if error.is_missing:
            what = f"the gateway of Broker {broker} has no permit key yet: the operator has not made it"
            raise RefusedError(what, "see `christmas doctor`", status=error.status) from error
        raise
    try:
        return base64.b64decode(secret["data"]["permit-key"])
    except (KeyError, ValueError) as error:
        raise ClusterError(f"Secret {namespace}/{name} has no permit-key", "was it changed by hand?") from error
