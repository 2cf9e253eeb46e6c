from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from christmas.fleet.limits import CpuController, CpuLimits, find_cpu_controller
from christmas.fleet.process import ManagedProcess


def test_version_2_needs_the_controller_delegated(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids\n")
    controller, why = find_cpu_controller(tmp_path)
    assert controller is None
    assert "not delegated" in why
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu")
    assert find_cpu_controller(tmp_path) == (CpuController(tmp_path, 2), "")


def test_without_cgroups_it_says_so(tmp_path: Path) -> None:
    controller, why = find_cpu_controller(tmp_path)
    assert controller is None
    assert "no cpu controller" in why
    assert not CpuLimits(None, "x").limit("a", os.getpid(), Decimal(1))


def test_quotas_as_each_version_writes_them(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert CpuLimits(CpuController(tmp_path / "one", 1), "o").limit("a", 7, Decimal("0.5"))
    assert CpuLimits(CpuController(tmp_path / "two", 2), "o").limit("a", 7, Decimal("0.5"))
    assert (tmp_path / "one" / "christmas-o-a" / "cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "two" / "christmas-o-a" / "cpu.max").read_text() == "50000 100000"
    assert (tmp_path / "two" / "christmas-o-a" / "cgroup.procs").read_text() == "7"


async def test_a_real_process_is_held_and_its_cgroup_removed(tmp_path: Path) -> None:
    controller, why = find_cpu_controller()
    if controller is None:
        pytest.skip(why)
    limits = CpuLimits(controller, f"test{os.getpid()}")
    child = ManagedProcess(["sleep", "600"], log=tmp_path / "log", folder=tmp_path)
    await child.start()
    assert child.pid is not None
    folder = controller.folder / f"christmas-test{os.getpid()}-a"
    try:
        assert limits.limit("a", child.pid, Decimal("0.5"))
        assert str(child.pid) in (folder / "cgroup.procs").read_text().split()
    finally:
        await child.stop(within_s=5)
        limits.remove_leftovers()
    assert not folder.exists()
