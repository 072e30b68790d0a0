"""The settings of search algorithms: allowed values, and how they are read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kfp_tabular.components.common.errors import closest

NOT_OFFERED = {
    "enas": "it searches network architectures (nasConfig), not a list of hyperparameters",
    "darts": "it searches network architectures (nasConfig), not a list of hyperparameters",
    "pbt": "it lets a trial continue from another one's checkpoint with other hyperparameters, and "
    "the training worker continues from a checkpoint only with the same ones",
}
"""Algorithms of Katib that neither backend supports, and why."""


@dataclass(frozen=True)
class Setting:
    """A setting of an algorithm, and its allowed values.

    Attributes:
        kind: `int`, `float`, `choice` of texts, or `name` of a searched hyperparameter.
        low: The smallest number.
        above: Whether the number must be larger than `low`.
        below: The number must be smaller than this; None for no upper bound.
        choices: The texts of a `choice`.
    """

    kind: Literal["int", "float", "choice", "name"]
    low: float = 0.0
    above: bool = False
    below: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, value: object) -> tuple[str, str]:
        """Read a value.

        Args:
            value: A number or text. Whole numbers may be floats, as in a KFP struct.

        Returns:
            The text to pass to Katib, and an empty string; or an empty string, and what was
            expected.

        Example:
            >>> Setting("int", low=1).read(24.0)
            ('24', '')
            >>> Setting("int", low=1).read(0)
            ('', 'a whole number of at least 1')
        """
        text = str(value).strip()
        if self.kind in ("choice", "name"):
            if self.kind == "choice" and text not in self.choices:
                return "", f"one of {', '.join(self.choices)}"
            return text, ""
        try:
            number = math.nan if isinstance(value, bool) else float(text)
        except ValueError:
            number = math.nan
        fits = number > self.low if self.above else number >= self.low
        if not math.isfinite(number) or not fits or (self.below and number >= self.below):
            return "", self._expected()
        if self.kind == "int":
            return (str(int(number)), "") if number.is_integer() else ("", self._expected())
        return (repr(number) if isinstance(value, float) else text), ""

    def _expected(self) -> str:
        kind = "a whole number" if self.kind == "int" else "a number"
        bound = f"{'above' if self.above else 'of at least'} {self.low:g}"
        return f"{kind} {bound}" + (f" and below {self.below:g}" if self.below else "")


def read_settings(
    algorithm: str, known: Mapping[str, Setting], given: Mapping[str, object]
) -> tuple[dict[str, str], list[str]]:
    """Read the settings of an algorithm.

    Args:
        algorithm: What to call the algorithm in a message.
        known: The settings that it has.
        given: The given settings, by name.

    Returns:
        The valid settings, as text; and a message for each of the others.

    Example:
        >>> known = {"gamma": Setting("float", above=True, below=1.0), "sigma": Setting("float")}
        >>> settings, problems = read_settings("tpe", known, {"gamma": 1.5, "sigma": 0.1})
        >>> settings, problems
        ({'sigma': '0.1'},
         ['algorithm_settings: gamma must be a number above 0 and below 1, found 1.5.'])
    """
    settings: dict[str, str] = {}
    problems: list[str] = []
    for name, value in given.items():
        if name == "random_state":
            problems.append("algorithm_settings: use the argument seed instead of random_state.")
            continue
        if name not in known:
            available = f"Its settings: {', '.join(known)}." if known else "It has no settings."
            problems.append(
                f"algorithm_settings: {algorithm} has no setting {name!r}."
                f"{closest(name, known)} {available}"
            )
            continue
        text, expected = known[name].read(value)
        if expected:
            problems.append(f"algorithm_settings: {name} must be {expected}, found {value!r}.")
        else:
            settings[name] = text
    return settings, problems
