"""What a fleet on one machine says about manifests that were written for a cluster."""

from __future__ import annotations

from pathlib import Path

from christmas.fleet.manifests import read, read_here
from tests.unit.resources.manifests import BOTH, BROKER, STRATEGY

_PLACED = """\
  nodeSelector: {disk: fast}
  tolerations: [{key: trading, operator: Exists}]
  priorityClassName: trading
"""


def test_what_is_for_pods_is_ignored_and_said_so_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    broker = f"{BROKER}{_PLACED}  storage: {{size: 5Gi}}\n"
    strategy = f"{STRATEGY}{_PLACED}  image: mine:1\n  secrets: [{{name: model}}]\n  envFrom: [{{secretRef: keys}}]\n"
    file.write_text(f"{broker}---\n{strategy}")
    warnings = read_here([file]).warnings
    assert {warning.severity for warning in warnings} == {"warning"}
    lines = [str(warning) for warning in warnings]
    assert f"{file}:15:3: warning: spec.storage: ignored: it is for pods in a cluster" in lines
    assert f"{file}:30:3: warning: spec.nodeSelector: ignored: it is for pods in a cluster" in lines
    assert len(lines) == 4 + 6
    assert read([file]).warnings == ()


def test_nothing_is_said_of_what_nobody_wrote(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(BOTH)
    assert read_here([file]).warnings == ()
