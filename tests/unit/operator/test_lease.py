"""The Lease against an API server in memory: who holds it, and who else may write it meanwhile."""

from __future__ import annotations

import asyncio
import copy
from typing import Any, cast

import pytest

from christmas_operator.kube.client import ApiClient
from christmas_operator.kube.errors import Conflict, Forbidden, NotFound
from christmas_operator.lease import Leader

NAME = "christmas-operator"


class Server:
    """One Lease, as the chart makes it: without a spec."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": NAME,
                "namespace": "stores",
                "uid": "1",
                "resourceVersion": "1",
                "labels": {"chart": "1"},
            },
        }

    async def get(self, *_: object) -> dict[str, Any]:
        if self.lease is None:
            raise NotFound("NotFound", "gone", 404)
        return copy.deepcopy(self.lease)

    async def replace(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if self.lease is None:
            raise NotFound("NotFound", "gone", 404)
        if manifest["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("Conflict", "out of date", 409)
        self.lease = copy.deepcopy(manifest)
        self.touch()
        return copy.deepcopy(self.lease)

    async def create_unled(self, _: object) -> dict[str, Any]:
        raise Forbidden("Forbidden", "cannot create resource leases", 403)

    def touch(self, **labels: str) -> None:
        """Somebody writes it."""
        assert self.lease is not None
        metadata = self.lease["metadata"]
        metadata["labels"] |= labels
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease.get("spec", {}).get("holderIdentity", ""))

    @property
    def client(self) -> ApiClient:
        return cast(ApiClient, self)


@pytest.fixture
def server() -> Server:
    return Server()


def leader(identity: str, span_s: int = 1) -> Leader:
    return Leader(namespace="stores", name=NAME, identity=identity, span_s=span_s)


async def acquired(server: Server, identity: str, span_s: int = 1) -> Leader:
    found = leader(identity, span_s)
    async with asyncio.timeout(10):
        await found.acquire(server.client)
    return found


async def test_the_lease_of_the_chart_is_taken_and_keeps_its_labels(server: Server) -> None:
    first = await acquired(server, "first")
    assert first.leads()
    assert server.holder == "first"
    assert server.lease is not None
    assert server.lease["metadata"]["labels"] == {"chart": "1"}


async def test_what_is_the_operator_s_own_goes_with_the_lease(server: Server) -> None:
    holder = await acquired(server, "first")
    assert server.lease is not None
    (owner,) = holder.owner_references("stores")
    assert (owner["kind"], owner["uid"]) == ("Lease", server.lease["metadata"]["uid"])
    assert holder.owner_references("elsewhere") == []
    assert leader("second").owner_references("stores") == []


async def test_labels_that_an_upgrade_changes_do_not_cost_the_lease(server: Server) -> None:
    first = await acquired(server, "first")
    server.touch(chart="2")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await first.hold(server.client)
    assert first.leads()
    assert server.lease is not None
    assert server.lease["metadata"]["labels"] == {"chart": "2"}


async def test_who_was_taken_over_from_stops_at_once(server: Server) -> None:
    first = await acquired(server, "first")
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = "second"
    server.touch()
    async with asyncio.timeout(5):
        await first.hold(server.client)
    assert not first.leads()
    await first.release(server.client)
    assert server.holder == "second"


async def test_a_released_lease_is_the_next_one_s_also_when_somebody_labelled_it_meanwhile(server: Server) -> None:
    first = await acquired(server, "first", span_s=3600)
    server.touch(chart="2")
    await first.release(server.client)
    assert server.holder == ""
    assert (await acquired(server, "second")).leads()


async def test_who_finds_no_lease_says_what_makes_it(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.lease = None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await leader("first").acquire(server.client)
    (record,) = caplog.records
    assert "there is no Lease christmas-operator in namespace stores: helm upgrade makes it" in str(vars(record))
