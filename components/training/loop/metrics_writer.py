"""Measurements while training runs: to the log, TensorBoard and Katib's text format."""

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

_STEP = re.compile(r"(?:^|\s)step=(\d+)(?=\s|$)")

_logger = logging.getLogger(__name__)


def katib_line(values: Mapping[str, float]) -> str:
    r"""Return values as `name=value` pairs on one line, which Katib's collector and tuning read.

    The collector's default filter is `([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)`
    (`pkg/metricscollector/v1beta1/common/const.go`). It matches `auc=nan` with an empty value, and
    a collector with early stopping rules then ends, and the trial with it. So values that are not
    finite are left out.

    Example:
        >>> katib_line({"step": 10.0, "eval_auc": 0.87, "eval_r2": float("nan")})
        'step=10 eval_auc=0.87'
    """
    return " ".join(f"{name}={value:.8g}" for name, value in values.items() if math.isfinite(value))


def utc_now() -> datetime:
    """Return the current time.

    Example:
        >>> utc_now().tzinfo
        datetime.timezone.utc
    """
    return datetime.now(UTC)


class MetricsWriter:
    """Writes measurements, in the one process of a training that does.

    Lines of the metrics file start with the time (RFC 3339), which Katib uses as the metric's. The
    file is closed after each line, because the collector follows it. A resumed training writes no
    step twice, and adds the steps that its file lacks because an earlier attempt ran in another
    pod.

    Args:
        logs: Directory of the TensorBoard events; None for none.
        metrics_file: Where a line per evaluation is appended; None for none.
        writes: False for the processes that write nothing.
        first_step: Steps of the candidates trained before; the metrics file counts on from there,
            so that no step is there twice.
        written: Called after each measurement.
        now: Returns the time.
    """

    def __init__(
        self,
        logs: Path | None,
        metrics_file: Path | None,
        *,
        writes: bool = True,
        first_step: int = 0,
        written: Callable[[], None] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._metrics_file = metrics_file if writes else None
        self._writes = writes
        self._first_step = first_step
        self._written = written
        self._now = now
        self._events = _event_writer(logs) if logs is not None and writes else None
        self._steps = steps_in(self._metrics_file) if self._metrics_file is not None else set()
        self._name, self._most = "", 0

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._events is not None:
            self._events.close()

    def resume(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the earlier measurements that the metrics file lacks."""
        for values in history:
            self._append(values)

    def expect(self, name: str, steps: int = 0) -> None:
        """Begin the log's lines with a model type, and with how far its training is.

        Args:
            name: The model type.
            steps: The most steps that it takes; 0 if that is not known.
        """
        self._name, self._most = name, steps

    def close_with(self, values: Mapping[str, float]) -> None:
        """Write the final metrics, the last line of the metrics file."""
        if self._writes and self._metrics_file is not None:
            self._write_line(katib_line(values))

    def write(self, values: Mapping[str, float]) -> None:
        """Write an evaluation.

        Args:
            values: Metrics by name, including `step`.
        """
        if not self._writes:
            return
        _logger.info("%s%s", self._so_far(values), katib_line(values))
        self._append(values)
        if self._events is not None:
            import tensorflow as tf

            with self._events.as_default():
                for name, value in values.items():
                    if name != "step":
                        # TensorBoard groups tags by the text before the slash.
                        split, _, metric = name.partition("_")
                        tag = f"{metric}/{split}" if split in ("train", "eval") else name
                        tf.summary.scalar(tag, value, step=int(values["step"]))
            self._events.flush()
        if self._written is not None:
            self._written()

    def _so_far(self, values: Mapping[str, float]) -> str:
        if not self._name:
            return ""
        if not self._most:
            return f"{self._name}: "
        return f"{self._name}, {values['step'] / self._most:.0%} of at most {self._most:,} steps: "

    def _append(self, values: Mapping[str, float]) -> None:
        step = self._first_step + int(values["step"])
        if self._metrics_file is not None and step not in self._steps:
            self._steps.add(step)
            self._write_line(katib_line({**values, "step": float(step)}))

    def _write_line(self, line: str) -> None:
        if self._metrics_file is None:
            return
        time = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._metrics_file.open("a", encoding="utf-8") as stream:
            stream.write(f"{time} {line}\n")


def _event_writer(logs: Path) -> Any:
    import tensorflow as tf

    return tf.summary.create_file_writer(str(logs))


def open_metrics(file: Path) -> None:
    """Create an empty metrics file if there is none.

    Katib's collector waits for the file in a busy loop, so it should exist early.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "katib" / "metrics.log"
        ...     open_metrics(file)
        ...     file.read_text()
        ''
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def steps_in(file: Path) -> set[int]:
    r"""Return the steps in a metrics file, and end a line that was cut off by a kill.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "metrics.txt"
        ...     _ = file.write_text("step=10 eval_auc=0.7\nstep=20 eval_auc=0.8\nstep=30 eval_a")
        ...     steps_in(file)
        {10, 20, 30}
    """
    open_metrics(file)
    text = file.read_text(encoding="utf-8", errors="replace")
    if text and not text.endswith("\n"):
        with file.open("a", encoding="utf-8") as stream:
            stream.write("\n")
    return {int(match[1]) for match in map(_STEP.search, text.splitlines()) if match}
