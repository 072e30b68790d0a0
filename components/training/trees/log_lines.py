"""CatBoost's own output as lines of the log."""

import logging


class LogLines:
    r"""A stream that logs each line written to it.

    Args:
        logger: Where the lines go.
        level: Their level.

    Example:
        >>> with_lines = LogLines(logging.getLogger("trees"), logging.DEBUG)
        >>> with_lines.write("a line\n")
        7
    """

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level

    def write(self, text: str) -> int:
        """Log the lines of some text."""
        for line in text.splitlines():
            if line.strip():
                self._logger.log(self._level, "catboost: %s", line.strip())
        return len(text)

    def flush(self) -> None:
        """Do nothing: each line is logged at once."""
