"""The number of cores that a process may use, from control groups of both versions."""

import os
from pathlib import Path

import pytest

from arrayloom.host.runtime.cores import usable_cores

CORES = 8


@pytest.fixture(autouse=True)
def affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)))


def _groups(folder: Path, process: str, files: dict[str, str]) -> tuple[Path, Path]:
    mount = folder / "mount"
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(text + "\n")
    (folder / "cgroup").write_text(process)
    return folder / "cgroup", mount


@pytest.mark.parametrize(("files", "cores"), [
    ({}, CORES),
    ({"a/b/cpu.max": "max 100000"}, CORES),
    ({"a/b/cpu.max": "250000 100000"}, 2),
    ({"a/b/cpu.max": "50000 100000"}, 1),
    ({"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
    ({"a/b/cpu.max": "400000 100000", "a/cpu.max": "max 100000", "cpu.max": "150000 50000"}, 3),
    ({"a/b/cpu.max": "1600000 100000"}, CORES),
    ({"a/b/cpu.max": "many 100000"}, CORES),
    ({"a/b/cpu.max": "100000 0"}, CORES),
    ({"other/cpu.max": "100000 100000"}, CORES),
    ({"cpu.max": "200000 100000"}, 2),      # in a container whose group is the root of the mount
])
def test_version_2(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert usable_cores(*_groups(tmp_path, "0::/a/b\n", files)) == cores


@pytest.mark.parametrize(("files", "cores"), [
    ({"cpu,cpuacct/a/cpu.cfs_quota_us": "-1", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"}, CORES),
    ({"cpu,cpuacct/a/cpu.cfs_quota_us": "300000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"}, 3),
    ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}, 2),
    ({"memory/a/cpu.cfs_quota_us": "100000", "memory/a/cpu.cfs_period_us": "100000"}, CORES),
])
def test_version_1(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert usable_cores(*_groups(tmp_path, "5:memory:/a\n4:cpu,cpuacct:/a\n", files)) == cores


def test_a_group_outside_what_is_mounted_is_not_read(tmp_path: Path) -> None:
    process, mount = _groups(tmp_path, "0::/../a\n", {"x": ""})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cpu.max").write_text("100000 100000")
    assert usable_cores(process, mount) == CORES


def test_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= CORES
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert usable_cores(tmp_path / "none", tmp_path) == 1
