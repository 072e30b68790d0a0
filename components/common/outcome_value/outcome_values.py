"""The value of each outcome: of a positive row that is found, one that is missed, and so on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.outcome_value import expressions
from kfp_tabular.components.common.outcome_value.expressions import Expression
from kfp_tabular.components.common.statistics.bootstrap import Floats

TRUE_POSITIVE, FALSE_POSITIVE = "true_positive", "false_positive"
TRUE_NEGATIVE, FALSE_NEGATIVE = "true_negative", "false_negative"
OUTCOMES = (TRUE_POSITIVE, FALSE_POSITIVE, TRUE_NEGATIVE, FALSE_NEGATIVE)


@dataclass(frozen=True)
class OutcomeValues:
    """What each outcome is worth.

    Attributes:
        texts: The expressions as given.
        expressions: Those of `OUTCOMES`, in their order.
    """

    texts: tuple[tuple[str, str], ...]
    expressions: tuple[Expression, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any], task: str) -> "OutcomeValues | None":
        """Read the option `outcome_values`; None if it is empty.

        Args:
            document: By outcome a number or an expression; 0 for those left out.
            task: The task.

        Raises:
            UserError: If an outcome is unknown, a value is no expression, or the task not binary.

        Example:
            >>> OutcomeValues.parse({"true_positive": "2 * amount"}, "binary").columns()
            ['amount']
        """
        if not document:
            return None
        if task != "binary":
            raise UserError(f"outcome_values: only a binary model has outcomes, not a {task} one.")
        for name in document:
            if name not in OUTCOMES:
                raise UserError(
                    f"outcome_values: {name!r} is not an outcome; they are {', '.join(OUTCOMES)}."
                    f"{closest(str(name), OUTCOMES)}"
                )
        texts = tuple((name, _text(document.get(name, 0), name)) for name in OUTCOMES)
        found = tuple(expressions.parse(text, f"outcome_values: {name}") for name, text in texts)
        return cls(texts, found)

    def columns(self) -> list[str]:
        """Return the names of the columns."""
        return list(dict.fromkeys(self._columns()))

    def check(self, schema: pa.Schema) -> None:
        """Check that the columns are columns of numbers.

        Raises:
            UserError: If one is not.
        """
        for name in self.columns():
            if name not in schema.names:
                raise UserError(
                    f"outcome_values: the examples have no column {name!r}."
                    f"{closest(name, schema.names)} A column in exclude is read if keep names it, "
                    "too."
                )
            kind = schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise UserError(f"outcome_values: column {name!r} has {kind}, not numbers.")

    def of(self, columns: pa.RecordBatch, positive: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return what each row is worth if it is predicted as positive, and if it is not.

        Args:
            columns: The raw columns.
            positive: Whether each row is positive.
        """
        given = {name: _numbers(columns.column(name)) for name in self.columns()}
        rows = len(positive)
        values = [
            np.broadcast_to(expression.values(given), (rows,)) for expression in self.expressions
        ]
        found, alarm, right, missed = values
        return np.where(positive, found, alarm), np.where(positive, missed, right)

    def _columns(self) -> Iterator[str]:
        for expression in self.expressions:
            yield from expression.columns()


def _text(value: Any, name: str) -> str:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(
            f"outcome_values: {name} must be a number or an expression, found {value!r}."
        )
    return f"{value:.17g}"


def _numbers(values: pa.Array) -> Floats:
    plain = values.cast(pa.float64(), safe=False).fill_null(np.nan)
    return np.asarray(plain.to_numpy(zero_copy_only=False), np.float64)
