"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["usable_cores"]

_UNLIMITED = 1e9


def usable_cores() -> int:
    """Return the number of cores by the process's affinity and the CPU quotas of its control groups, at least 1.

    A quota of part of a core counts as nothing: threads that share a core's time only wait for each other.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))))


def _quota(membership: Path, root: Path) -> float:
    """Return the least CPU quota of the groups of this process and those above them, in cores; a billion without any.

    Args:
        membership: the file that names the groups, ``/proc/self/cgroup``.
        root: where control groups are mounted; in a container perhaps its own group.
    """
    least = _UNLIMITED
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        for mount in (root / controllers, root / "cpu") if controllers else (root,):
            for folder in (mount / group, *(mount / parent for parent in group.parents)):
                least = min(least, _group_quota(folder))
    return least


def _group_quota(folder: Path) -> float:
    """Return the quota of one group, of version 2 or 1 of control groups."""
    for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((folder / name).read_text() for name in files).split()
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue
    return _UNLIMITED
