"""Thresholds for skew and drift, as users give them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kfp_tabular.components.common.errors import UserError, closest

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

EVERY_COLUMN = "*"

DistanceKind = Literal["skew", "drift"]


@dataclass(frozen=True)
class DistanceThresholds:
    """The largest distance that each column may have.

    Attributes:
        by_column: The threshold of single columns, by name.
        every: The threshold of all other columns; None for no check.
    """

    by_column: Mapping[str, float]
    every: float | None = None

    @classmethod
    def parse(
        cls, given: Mapping[str, float], argument: str, columns: Sequence[str]
    ) -> "DistanceThresholds":
        """Check and convert thresholds that a user gave.

        Args:
            given: A threshold by column; `*` for every column without one of its own.
            argument: The argument's name, for messages.
            columns: The columns of the data.

        Raises:
            UserError: A column is unknown, or a threshold is not between 0 and 1.

        Example:
            >>> DistanceThresholds.parse({"*": 0.1, "fare": 0.3}, "skew_thresholds", ["fare"])
            DistanceThresholds(by_column={'fare': 0.3}, every=0.1)
        """
        for name, value in given.items():
            if name != EVERY_COLUMN and name not in columns:
                raise UserError(
                    f"{argument}: the data have no column {name!r}.{closest(name, columns)} "
                    "Use '*' for every column."
                )
            number = not isinstance(value, bool) and isinstance(value, int | float)
            if not number or not 0 <= value <= 1:
                raise UserError(
                    f"{argument}: {name!r}: expected a number between 0 and 1, found {value!r}."
                )
        named = {name: float(value) for name, value in given.items() if name != EVERY_COLUMN}
        every = given.get(EVERY_COLUMN)
        return cls(named, None if every is None else float(every))

    def of(self, feature: "schema_pb2.Feature", kind: DistanceKind) -> float | None:
        """Return a column's threshold; None for no check.

        The first of these that is set: the threshold given for the column by name, the feature's
        comparator in the schema, the threshold given for `*`. Points in time ignore `*`, because
        they are expected to move on.
        """
        if feature.name in self.by_column:
            return self.by_column[feature.name]
        comparator = feature.skew_comparator if kind == "skew" else feature.drift_comparator
        for field in ("infinity_norm", "jensen_shannon_divergence"):
            if comparator.HasField(field):
                return float(getattr(comparator, field).threshold)
        return None if feature.WhichOneof("domain_info") == "time_domain" else self.every
