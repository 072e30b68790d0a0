"""A control group with a memory limit, like a container's, and what processes in it have used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_ROOT = Path("/sys/fs/cgroup")


class MemoryLimit:
    """A control group below the one of this process, version 1 or 2.

    Use it as a context: the group is removed at the end, when its processes must have ended.

    Args:
        limit_bytes: The limit.

    Raises:
        OSError: If this process may not create control groups with a memory limit.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._v1 = (_ROOT / "memory").is_dir()
        self._home = (_ROOT / "memory" if self._v1 else _ROOT) / _own_group(self._v1)
        self._group = self._home / f"kfp-tabular-{os.getpid()}"
        self._group.mkdir()
        try:
            name = "memory.limit_in_bytes" if self._v1 else "memory.max"
            (self._group / name).write_text(str(limit_bytes))
        except OSError:
            self._group.rmdir()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._group.rmdir()

    @contextmanager
    def applied_to_children(self) -> Iterator[None]:
        """Start processes within the block in the group."""
        (self._group / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (self._home / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """Return how many processes the kernel has killed for want of memory."""
        file = self._group / ("memory.oom_control" if self._v1 else "memory.events")
        fields = dict(line.split() for line in file.read_text().splitlines())
        return int(fields["oom_kill"])

    def peak_mb(self) -> float:
        """Return the most memory that the group has used, page cache included, in MB."""
        name = "memory.max_usage_in_bytes" if self._v1 else "memory.peak"
        return int((self._group / name).read_text()) / 1e6


def _own_group(v1: bool) -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") if v1 else not controllers:
            return path.lstrip("/")
    return ""


def reset_peak(pids: list[int]) -> None:
    """Let the peaks of processes begin at what they hold now."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pids: list[int]) -> float:
    """Return the sum of the peaks of processes since then, in MB."""
    return sum(_status_kib(pid, "VmHWM") for pid in pids) * 1024 / 1e6


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0
