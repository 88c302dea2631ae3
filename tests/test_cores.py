"""The number of cores respects affinity and the CPU quotas of containers, of both versions of control groups."""

import os
from pathlib import Path

import pytest

from tempest_gym import cores


def make(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/host/path\n", {"cpu.max": "200000 100000\n"}, 2.0),  # the container's group is the root it sees
        (
            "5:memory:/a\n4:cpu,cpuacct:/a\n0::/\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
            0.5,
        ),
        (
            "4:cpu,cpuacct:/docker/1f\n",
            {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            3.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
    ],
)
def test_the_least_quota_on_the_way_up_counts(tmp_path, membership, files, quota):
    make(tmp_path / "groups", files)
    make(tmp_path, {"membership": membership})
    found = cores._quota(tmp_path / "membership", tmp_path / "groups")
    assert found == (quota or cores._UNLIMITED)


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert cores._quota(tmp_path / "missing", tmp_path) == cores._UNLIMITED


@pytest.mark.parametrize(("quota", "expected"), [(0.5, 1), (1.0, 1), (1.9, 1), (3.0, 3), (64.0, 8)])
def test_cores_are_whole_at_least_one_and_no_more_than_the_affinity(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "_quota", lambda *_: quota)
    assert cores.usable_cores() == expected
