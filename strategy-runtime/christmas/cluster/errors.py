"""What a cluster answers, as a person can use it: what is wrong, and the mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from christmas.fleet.errors import FleetError
from christmas.resources.meta import GROUP

INSTALL: Final = "helm upgrade --install christmas charts/christmas --namespace christmas --create-namespace"
"""The command that brings CRDs and operator."""


class ClusterError(FleetError):
    """The cluster did not do it."""


class UnreachableError(ClusterError):
    """No answer: whether a change was carried out is not known."""


class Cause(msgspec.Struct, frozen=True):
    """One field that the API server refuses, by its path there: ``spec.symbols[0]``."""

    field: str
    message: str


class RefusedError(ClusterError):
    """The API server answered with an error status."""

    def __init__(self, what: str, mend: str = "", *, status: int, causes: Sequence[Cause] = ()) -> None:
        super().__init__(what, mend)
        self.status = status
        self.causes = tuple(causes)

    @property
    def is_missing(self) -> bool:
        return self.status == 404


class NotInstalledError(RefusedError):
    """The cluster does not know our resources."""


class GoneError(RefusedError):
    """A watch must begin anew with a list."""


def refusal(status: int, body: bytes, *, path: str, context: str, namespace: str) -> RefusedError:
    """The error for an answer of the API server with a status of 400 or more."""
    answer = _status(body)
    said = str(answer.get("message") or body[:300].decode(errors="replace").strip() or f"HTTP {status}")
    if status == 404 and not answer and path.startswith(f"/apis/{GROUP}/"):
        return NotInstalledError(
            f"Christmas is not installed in the cluster of context {context}", INSTALL, status=status
        )
    return (GoneError if status == 410 else RefusedError)(
        said, _mend(status, answer, context, namespace), status=status, causes=_causes(answer)
    )


def _mend(status: int, answer: Mapping[str, Any], context: str, namespace: str) -> str:
    details = answer.get("details") or {}
    match status:
        case 401:
            return f"the cluster does not know the user of context {context}: log in anew"
        case 403:
            kind = ".".join(part for part in (details.get("kind"), details.get("group")) if part)
            return f"ask for the right; `kubectl --context {context} auth can-i --list -n {namespace}` shows yours" + (
                f", {kind} is missing" if kind else ""
            )
        case 404 if details.get("kind") == "namespaces":
            return f"kubectl --context {context} create namespace {details.get('name')}"
        case 409:
            return "somebody changed it at the same moment: try again"
        case 429:
            return "the API server is busy: try again later"
        case _ if status >= 500:
            return f"see `christmas --context {context} doctor`"
    return ""


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _causes(answer: Mapping[str, Any]) -> list[Cause]:
    causes = (answer.get("details") or {}).get("causes") or ()
    return [Cause(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in causes]
