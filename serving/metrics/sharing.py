"""Metrics shared by the worker processes behind one port.

prometheus_client keeps the metrics of each process in files of one directory, and the process that
is scraped sums them. The library reads an environment variable for this when it is imported, so the
directory must exist before the workers start. Usage in the process that starts them:

    shared = SharedMetrics.create()                    # before any worker
    subprocess.Popen(..., env=os.environ | shared.environment)
    shared.retire(pid)                                 # after a worker has ended in any way
    shared.remove()                                    # at the end

The library keeps the files of ended processes: their gauges would remain, and every restart would
add files that each scrape reads. `retire` deletes the gauges and moves the counters, which must not
decrease, into one file for all ended workers.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.components.common.files import remove

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_LOCK = "lock"
_KINDS = ("counter", "histogram", "summary")
_RETIRED = "retired"


def shared_directory() -> Path | None:
    """Return the directory where this process shares its metrics; None if it does not."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


@dataclass(frozen=True)
class SharedMetrics:
    """The directory of the workers' metrics, as the process that starts them uses it.

    Attributes:
        directory: Holds nothing else. Takes a few hundred KiB per worker; best in memory.
    """

    directory: Path

    @classmethod
    def create(cls) -> "SharedMetrics":
        """Create an empty directory below `TMPDIR` or the system's temporary directory."""
        return cls(Path(tempfile.mkdtemp(prefix="kfp-tabular-metrics-")))

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that a worker must have when it starts."""
        return {VARIABLE: str(self.directory)}

    def retire(self, pid: int) -> None:
        """Merge the metrics of a worker that has ended into those of all ended workers.

        Args:
            pid: Its process id. Nothing happens if it shared no metrics.
        """
        from prometheus_client.mmap_dict import MmapedDict, mmap_key
        from prometheus_client.multiprocess import MultiProcessCollector

        with _locked(self.directory, fcntl.LOCK_EX):
            for gauge in self.directory.glob(f"gauge_*_{pid}.db"):
                gauge.unlink()
            for kind in _KINDS:
                ended = self.directory / f"{kind}_{pid}.db"
                if not ended.exists():
                    continue
                retired = self.directory / f"{kind}_{_RETIRED}.db"
                partial = self.directory / f"{kind}_{_RETIRED}.partial"
                partial.unlink(missing_ok=True)
                merged = MmapedDict(str(partial))
                sources = _readable([ended, retired])
                for metric in MultiProcessCollector.merge(map(str, sources), accumulate=False):
                    for sample in metric.samples:
                        names = list(sample.labels)
                        values = [sample.labels[name] for name in names]
                        key = mmap_key(
                            metric.name, sample.name, names, values, metric.documentation
                        )
                        merged.write_value(key, sample.value, 0.0)
                merged.close()
                # Scrapes wait for the lock, so none sees both files, or neither.
                partial.replace(retired)
                ended.unlink()

    def remove(self) -> None:
        """Remove the directory."""
        remove(self.directory)


class SharedCollector:
    """Collects the metrics of all processes that share a directory.

    Args:
        directory: The shared directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable["Metric"]:
        """Return the sums over the processes."""
        from prometheus_client.multiprocess import MultiProcessCollector

        with _locked(self._directory, fcntl.LOCK_SH):
            files = map(str, _readable(sorted(self._directory.glob("*.db"))))
            metrics: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)
        return metrics


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    with (directory / _LOCK).open("ab") as lock:
        fcntl.flock(lock, how)
        yield


def _readable(files: Iterable[Path]) -> list[Path]:
    # A process that was killed while it created its file leaves an empty one.
    return [file for file in files if file.exists() and file.stat().st_size]
