"""How the operator connects to an API server."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import kopf
import pytest
import yaml

from christmas_operator.kube.session import open_connection


async def test_the_ca_of_an_older_cluster_is_accepted_by_a_python_that_is_strict_about_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(_info: kopf.ConnectionInfo) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(kopf.ConnectionInfo, "as_ssl_context", strict)
    monkeypatch.setenv("KUBECONFIG", "")
    file = tmp_path / "kubeconfig"
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(config))
    async with open_connection(str(file)).open_session() as session:
        assert isinstance(session.connector, aiohttp.TCPConnector)
        context = session.connector._ssl
        assert isinstance(context, ssl.SSLContext)
        assert not context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.verify_mode is ssl.CERT_REQUIRED
