"""The CPUs that this process may use. TensorFlow counts the host's, not the container's."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = _CGROUP) -> int:
    """Return how many CPUs the scheduler and the container's quota allow this process.

    Args:
        cgroup: Where the control group file system is mounted, version 1 or 2.

    Returns:
        A whole number, at least 1. A quota of 1.5 CPUs counts as 2.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as cgroup:
        ...     _ = (Path(cgroup) / "cpu.max").write_text("50000 100000")
        ...     available_cpus(Path(cgroup))
        1
    """
    usable = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return usable if quota is None else max(1, min(usable, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    try:
        limit, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if not (limit.isdecimal() and period.isdecimal() and int(limit) and int(period)):
        return None
    return int(limit) / int(period)
