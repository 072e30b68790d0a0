"""Where measurements go as they come: the log, TensorBoard, and Katib's text format."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_logger = logging.getLogger(__name__)


def katib_line(values: Mapping[str, float]) -> str:
    """Gives values as `name=value` pairs on a line, what Katib's collector and tuning read."""
    return " ".join(f"{name}={value:.8g}" for name, value in values.items())


class Journal:
    """Writes measurements, in the one process that does.

    Args:
        logs: Directory of the TensorBoard events; None for none.
        metrics_file: Where a line per evaluation is appended; None for none.
        writes: False for the processes of a distributed run that only log nothing.
    """

    def __init__(
        self, logs: Path | None, metrics_file: Path | None, *, writes: bool = True
    ) -> None:
        import tensorflow as tf

        self._metrics_file = metrics_file if writes else None
        self._writes = writes
        self._events = (
            tf.summary.create_file_writer(str(logs)) if logs is not None and writes else None
        )
        if self._metrics_file is not None:
            self._metrics_file.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._events is not None:
            self._events.close()

    def close_with(self, values: Mapping[str, float]) -> None:
        """Writes the final metrics, the last line of the metrics file."""
        if self._writes:
            self._append(katib_line(values))

    def write(self, values: Mapping[str, float]) -> None:
        """Writes an evaluation.

        Args:
            values: Metrics by name; `step` is among them.
        """
        if not self._writes:
            return
        import tensorflow as tf

        line = katib_line(values)
        _logger.info("%s", line)
        self._append(line)
        if self._events is not None:
            with self._events.as_default():
                for name, value in values.items():
                    if name != "step":
                        # TensorBoard groups by what stands before the slash.
                        split, _, metric = name.partition("_")
                        tag = f"{metric}/{split}" if split in ("train", "eval") else name
                        tf.summary.scalar(tag, value, step=int(values["step"]))
            self._events.flush()

    def _append(self, line: str) -> None:
        if self._metrics_file is not None:
            with self._metrics_file.open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")
