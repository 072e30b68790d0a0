"""How much is tried in a search."""

from dataclasses import dataclass

from kfp_tabular.components.common.errors import UserError


@dataclass(frozen=True)
class Limits:
    """How much is tried.

    Attributes:
        max_trials: So many trials are started in all.
        parallel_trials: At most so many run at a time.
        max_failed_trials: The search fails once more than this many trials have failed.
    """

    max_trials: int
    parallel_trials: int = 1
    max_failed_trials: int = 3

    def problems(self) -> list[str]:
        """Finds the limits that make no sense."""
        return [
            f"{name}: must be at least {least}, found {getattr(self, name)}."
            for name, least in (("max_trials", 0), ("parallel_trials", 1), ("max_failed_trials", 0))
            if getattr(self, name) < least
        ]

    def check(self) -> None:
        """Checks the limits.

        Raises:
            UserError: For the first that makes no sense.
        """
        for problem in self.problems():
            raise UserError(problem)
