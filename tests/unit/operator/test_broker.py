"""What a Broker's conditions say of its gateway."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from christmas_operator import reasons
from christmas_operator.actions import WriteStatus
from christmas_operator.brokers.decide import decide
from christmas_operator.brokers.observed import Observed
from christmas_operator.brokers.status import BrokerStatus
from christmas_operator.kube.views import Pod

SILENT = "feed silent since 12:00:03 UTC"


def pod(**changes: Any) -> Pod:
    return msgspec.structs.replace(
        Pod(
            namespace="trading",
            name="gateway-paper-0",
            uid="pod",
            version=1,
            about=None,
            input_hash="",
            epoch=0,
            deleting=False,
            ready=False,
            reason=reasons.POD_NOT_READY,
            message="it runs, and says that it is not ready",
            restarts=0,
            node="n",
            started=True,
        ),
        **changes,
    )


def status(**changes: Any) -> BrokerStatus:
    observed = Observed(namespace="trading", name="paper", uid="uid", generation=1, **changes)
    written = next(action.status for action in decide(observed, 0.0).actions if isinstance(action, WriteStatus))
    assert isinstance(written, BrokerStatus)
    return written


def told(found: BrokerStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in found.conditions}


@pytest.mark.parametrize(
    ("changes", "gateway", "reconciled"),
    [
        ({"pod": pod(ready=True)}, ("True", reasons.POD_READY), ("True", reasons.RECONCILED)),
        ({"pod": pod(), "feed_silent": SILENT}, ("False", reasons.FEED_SILENT), ("True", reasons.RECONCILED)),
        (
            {"pod": pod(), "feed_silent": SILENT, "blocked": "the venue does not answer"},
            ("False", reasons.POD_NOT_READY),
            ("False", reasons.NOT_RECONCILED),
        ),
        (
            {"pod": pod(reason=reasons.OOM_KILLED), "feed_silent": SILENT},
            ("False", reasons.OOM_KILLED),
            ("Unknown", reasons.NOT_RECONCILED),
        ),
        ({"pod": pod()}, ("False", reasons.POD_NOT_READY), ("Unknown", reasons.NOT_RECONCILED)),
    ],
)
def test_a_silent_feed_is_told_as_such(
    changes: dict[str, Any], gateway: tuple[str, str], reconciled: tuple[str, str]
) -> None:
    found = status(**changes)
    assert (told(found)["GatewayReady"], told(found)["Reconciled"]) == (gateway, reconciled)
    assert told(found)["Ready"] == (gateway if gateway[0] == "False" else ("True", reasons.READY))


def test_the_words_of_the_gateway_are_the_conditions() -> None:
    messages = {each.type: each.message for each in status(pod=pod(), feed_silent=SILENT).conditions}
    assert (messages["GatewayReady"], messages["Ready"]) == (SILENT, SILENT)
