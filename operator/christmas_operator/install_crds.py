"""Brings the cluster's CRDs to this version: ``python -m christmas_operator.install_crds FOLDER``.

Helm installs what is in a chart's ``crds/`` once and never changes it again, so the chart runs this before each
install and upgrade. It is a server-side apply, so a CRD of any size fits, and what others added (labels, annotations)
stays. Only the standard library: it runs before anything else works.
"""

from __future__ import annotations

import json
import logging
import random
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SERVER: Final = "https://kubernetes.default.svc"
_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_FIELD_MANAGER: Final = "christmas-install"
_ANSWER_S: Final = 10.0
_WITHIN_S: Final = 120.0


class Api:
    """The API server, as a pod's service account sees it."""

    def __init__(self, server: str, token: str, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._token = token
        self._context = context

    def apply(self, crd: dict[str, Any]) -> dict[str, Any]:
        """The CRD as it now is. Raises HTTPError or OSError."""
        query = f"?fieldManager={_FIELD_MANAGER}&force=true"
        return self._ask("PATCH", f"{_PATH}/{crd['metadata']['name']}{query}", json.dumps(crd).encode())

    def get(self, name: str) -> dict[str, Any]:
        """Raises HTTPError or OSError."""
        return self._ask("GET", f"{_PATH}/{name}", None)

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 (the address is ours)
            f"{self._server}{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/apply-patch+yaml"},
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_S, context=self._context) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found


def is_established(crd: dict[str, Any]) -> bool:
    """Whether the API server serves it."""
    conditions = crd.get("status", {}).get("conditions", [])
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def is_final(error: OSError) -> bool:
    """Whether asking again is of no use: the server understood, and refused."""
    return isinstance(error, urllib.error.HTTPError) and error.code in {400, 401, 403, 404, 422}


def reason_of(error: OSError) -> str:
    """In the API server's own words where it has any."""
    if isinstance(error, urllib.error.HTTPError):
        try:
            return str(json.load(error)["message"])
        except (ValueError, KeyError):
            return f"HTTP {error.code}"
    return str(error)


def install(api: Api, crds: list[dict[str, Any]], deadline: float) -> None:
    """Apply all and wait until they are served; raises SystemExit with the reason when that does not come about."""
    waiting = {crd["metadata"]["name"]: crd for crd in crds}
    applied: set[str] = set()
    failures = 0
    while waiting:
        try:
            for name, crd in tuple(waiting.items()):
                found = api.get(name) if name in applied else api.apply(crd)
                applied.add(name)
                if is_established(found):
                    logger.info("%s: served as of this version", name)
                    del waiting[name]
            failures = 0
        except OSError as error:
            reason = reason_of(error)
            if is_final(error):
                raise SystemExit(f"{next(iter(waiting))}: {reason}") from error
            failures += 1
            logger.warning("the API server does not answer yet: %s", reason)
        if waiting:
            if time.monotonic() > deadline:
                raise SystemExit(f"not served within {_WITHIN_S:.0f} s: {', '.join(waiting)}")
            time.sleep(random.uniform(0.5, 1.0) * min(5.0, 0.2 * 2.0**failures))


def main(folder: Path) -> None:
    """Install what is in ``folder``: CRDs as JSON, whatever the files' names."""
    crds = [json.loads(file.read_bytes()) for file in sorted(folder.glob("*.yaml"))]
    if not crds:
        raise SystemExit(f"{folder}: no CRD is in it")
    token = (_SERVICE_ACCOUNT / "token").read_text().strip()
    context = ssl.create_default_context(cafile=str(_SERVICE_ACCOUNT / "ca.crt"))
    # Python 3.13 refuses CAs without a key usage extension, which clusters have that were made by older tools.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    install(Api(_SERVER, token, context), crds, time.monotonic() + _WITHIN_S)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m christmas_operator.install_crds FOLDER")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    main(Path(sys.argv[1]))
