"""The number of cores that this process may use, limited by its CPU affinity and its control groups."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

Reader = Callable[[Path], float | None]

PROCESS, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cores(process: Path = PROCESS, mount: Path = MOUNT) -> int:
    """The number of usable cores, rounded down, at least 1.

    ``process`` lists the groups of the process, ``mount`` is their mount point. Both versions of control groups are
    supported: ``cpu.max`` of a group and its ancestors, or ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``.
    """
    return max(1, min([len(os.sched_getaffinity(0)), *(int(quota) for quota in _quotas(process, mount))]))


def _quotas(process: Path, mount: Path) -> Iterator[float]:
    """The cores of each group that has a quota."""
    for line in (_read(process) or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _of_group(mount, path, _unified)
        elif "cpu" in controllers.split(","):
            yield from (quota for name in (controllers, "cpu") for quota in _of_group(mount / name, path, _legacy))


def _of_group(mount: Path, path: str, read: Reader) -> Iterator[float]:
    """The quotas of a group and its ancestors; in a container the mount itself may be the group."""
    inside = ".." not in Path(path).parts       # of a namespace whose root is further down
    group = mount / path.lstrip("/") if inside else mount
    for folder in dict.fromkeys([group, *group.parents, mount]):
        if folder == mount or mount in folder.parents:
            quota = read(folder)
            if quota is not None:
                yield quota


def _unified(folder: Path) -> float | None:
    words = (_read(folder / "cpu.max") or "").split()
    return _ratio(*words) if len(words) == 2 else None


def _legacy(folder: Path) -> float | None:
    quota, period = (_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return _ratio(quota, period) if quota and period else None


def _ratio(quota: str, period: str) -> float | None:
    """The quota in cores; None if there is none, written ``max`` or -1."""
    try:
        found = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return found if found > 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
