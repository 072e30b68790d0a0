"""Several serving processes behind one port, counted together.

prometheus_client keeps the metrics of each process in files of one directory, and whichever process
is asked adds them up. It decides so when it is imported, by an environment variable; so the
directory must be known before the workers start. How the process that starts them wires it:

    shared = SharedMetrics.create()                    # before any worker
    subprocess.Popen(..., env=os.environ | shared.environment)
    shared.retire(pid)                                 # when a worker has ended, however it did
    shared.remove()                                    # at the end

The library leaves a dead process's files where they are: their gauges would stay, and every restart
would add files that each scrape reads. `retire` drops the gauges, and moves the counts, which must
not fall, into one file for all the dead.
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
_DEAD = "retired"


def shared_directory() -> Path | None:
    """Gives the directory where this process shares its metrics; None where it does not."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


@dataclass(frozen=True)
class SharedMetrics:
    """The directory where workers keep their metrics, seen from the process that starts them.

    Attributes:
        directory: Holds nothing else. A few hundred KiB for each worker; best in memory.
    """

    directory: Path

    @classmethod
    def create(cls) -> "SharedMetrics":
        """Makes an empty directory, below `TMPDIR` or else the system's own for such files."""
        return cls(Path(tempfile.mkdtemp(prefix="kfp-tabular-metrics-")))

    @property
    def environment(self) -> Mapping[str, str]:
        """What a worker's environment must hold when it starts."""
        return {VARIABLE: str(self.directory)}

    def retire(self, pid: int) -> None:
        """Closes the books of a worker that has ended.

        Args:
            pid: Its process id. Nothing happens where it shared nothing.
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
                dead = self.directory / f"{kind}_{_DEAD}.db"
                partial = self.directory / f"{kind}_{_DEAD}.partial"
                partial.unlink(missing_ok=True)
                books = MmapedDict(str(partial))
                sources = _readable([ended, dead])
                for metric in MultiProcessCollector.merge(map(str, sources), accumulate=False):
                    for sample in metric.samples:
                        names = list(sample.labels)
                        values = [sample.labels[name] for name in names]
                        key = mmap_key(
                            metric.name, sample.name, names, values, metric.documentation
                        )
                        books.write_value(key, sample.value, 0.0)
                books.close()
                # Scrapes wait for the lock, so none sees both files or neither.
                partial.replace(dead)
                ended.unlink()

    def remove(self) -> None:
        """Removes the directory."""
        remove(self.directory)


class SharedCollector:
    """Collects what all processes have in the directory.

    Args:
        directory: The shared directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable["Metric"]:
        """Adds the processes' metrics up."""
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
    # A process killed while it made its file leaves it empty.
    return [file for file in files if file.exists() and file.stat().st_size]
