"""The API server, through the official client's kubeconfig and connection; JSON as plain data.

The client is imported here and nowhere else, and only by who names a cluster: it takes half a second.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from christmas.cluster.errors import ClusterError, UnreachableError, refusal
from christmas.resources.problem import did_you_mean

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CONNECT_WITHIN_S: Final = 5.0
ANSWER_WITHIN_S: Final = 30.0
FIELD_MANAGER: Final = "christmas"
_RETRIES_WHEN_BUSY: Final = 3
_POOL: Final = 16
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"


class Cluster(NamedTuple):
    """Which API server, as whom, and where in it."""

    context: str
    namespace: str
    server: str


class Api:
    """Requests to one API server, each with a deadline; raises ClusterError."""

    def __init__(self, client: ApiClient, cluster: Cluster) -> None:
        self._client = client
        self.cluster = cluster

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return self._json("GET", path, query)

    def text(self, path: str, query: Mapping[str, str] | None = None, *, within_s: float = ANSWER_WITHIN_S) -> bytes:
        """The body as it is, also when it is no JSON."""
        return self._request("GET", path, query, within_s=within_s)

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._json("POST", path, body=dict(body))

    def delete(self, path: str) -> Any:
        return self._json("DELETE", path)

    def merge(self, path: str, body: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> Any:
        """Change the named fields and no others."""
        return self._json("PATCH", path, {"fieldManager": manager}, body=dict(body), content_type=_MERGE)

    def apply(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Any:
        """Server-side apply: ours are exactly the fields in ``body``, whoever owned them before."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self._json("PATCH", path, query, body=_encode(body), content_type=_APPLY)

    def lines(self, path: str, query: Mapping[str, str], *, silent_s: float | None) -> Iterator[bytes]:
        """The lines of an answer that goes on; raises when nothing has come for ``silent_s`` seconds (None: never)."""
        with self._deadline(), contextlib.closing(self._open("GET", path, query, within_s=silent_s)) as answer:
            yield from answer.response

    def forward(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to ``port`` on the pod's own loopback, through the API server."""
        from kubernetes.client import CoreV1Api  # noqa: PLC0415 (only who forwards)
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from kubernetes.stream import portforward  # noqa: PLC0415

        connect = CoreV1Api(self._client).connect_get_namespaced_pod_portforward
        earlier = socket.getdefaulttimeout()
        # The websocket client knows no other deadline for its connecting.
        socket.setdefaulttimeout(CONNECT_WITHIN_S)
        try:
            forwarded = portforward(connect, pod, namespace, ports=str(port))
        except (ApiException, OSError) as error:
            reason = str(getattr(error, "reason", error)).splitlines()[0]
            mend = f"it takes the right to create pods/portforward in {namespace}" if "403" in reason else ""
            raise ClusterError(f"no connection to port {port} of pod {namespace}/{pod}: {reason}", mend) from error
        finally:
            socket.setdefaulttimeout(earlier)
        forwarded.websocket.settimeout(None)
        made: socket.socket = forwarded.socket(port)
        return made

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        answer = self._request(method, path, query, body=body, content_type=content_type)
        try:
            return msgspec.json.decode(answer)
        except msgspec.DecodeError as error:
            what = f"{self.cluster.server} does not answer as an API server does"
            raise ClusterError(what, f"is context {self.cluster.context} the right one?") from error

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
        within_s: float = ANSWER_WITHIN_S,
    ) -> bytes:
        with self._deadline():
            answer = self._open(method, path, query, body=body, content_type=content_type, within_s=within_s)
            found: bytes = answer.response.data
            return found

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
        within_s: float | None,
    ) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        answer = self._client.call_api(method, url, headers, body=body, _request_timeout=(CONNECT_WITHIN_S, within_s))
        if answer.status >= 400:
            cluster = self.cluster
            raise refusal(
                answer.status, answer.response.data, path=path, context=cluster.context, namespace=cluster.namespace
            )
        return answer

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 (imported with the client)
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            yield
        except (HTTPError, ApiException, OSError) as error:
            cluster = self.cluster
            raise UnreachableError(
                f"the API server {cluster.server} of context {cluster.context} does not answer: {_cause(error)}",
                f"`kubectl --context {cluster.context} cluster-info` asks it too",
            ) from error


def connect(*, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None) -> Api:
    """The API server of a kubeconfig's context (None: the current one); nothing is sent yet.

    Raises ClusterError when there is no such file or context, or the client is not installed.
    """
    # Of credential plugins and of retries it logs what we say ourselves.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("kubernetes").setLevel(logging.CRITICAL)
    try:
        from kubernetes.client import Configuration  # noqa: PLC0415 (see the module's docstring)
        from kubernetes.config import ConfigException, list_kube_config_contexts, new_client_from_config  # noqa: PLC0415
        from urllib3 import Retry  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            "the Kubernetes client is not installed", "pip install 'christmas[local,cluster]'"
        ) from error
    try:
        contexts, current = list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
        known = {entry["name"]: entry.get("context") or {} for entry in contexts}
        name = context or current["name"]
        if name not in known:
            raise ClusterError(f"there is no context {name} in the kubeconfig", did_you_mean(name, known))
        configuration = Configuration()
        configuration.connection_pool_maxsize = _POOL
        configuration.retries = Retry(
            total=_RETRIES_WHEN_BUSY,
            connect=0,
            read=0,
            redirect=0,
            status=_RETRIES_WHEN_BUSY,
            status_forcelist=(429,),
            allowed_methods=frozenset({"GET", "PATCH", "DELETE"}),
            backoff_factor=0.2,
            backoff_jitter=0.2,
            raise_on_status=False,
        )
        client = new_client_from_config(  # type: ignore[no-untyped-call]
            kubeconfig, name, persist_config=False, client_configuration=configuration
        )
    except ConfigException as error:
        mend = "name one with --kubeconfig or KUBECONFIG; without --context Christmas works on this machine"
        raise ClusterError(f"no usable kubeconfig: {error}", mend) from error
    except OSError as error:
        raise ClusterError(f"the kubeconfig cannot be read: {error}", "name one with --kubeconfig") from error
    chosen = namespace or known[name].get("namespace") or "default"
    return Api(client, Cluster(context=name, namespace=chosen, server=configuration.host))


def segment(text: str) -> str:
    """A name as one part of a URL's path: what a person typed leads nowhere else."""
    return quote(text, safe="")


def _encode(body: Mapping[str, Any]) -> str:
    return msgspec.json.encode(body).decode()


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason).strip() or type(reason).__name__
    return (
        text.splitlines()[-1].rpartition(": ")[2] if "Error(" in text or "object at" in text else text.splitlines()[-1]
    )
