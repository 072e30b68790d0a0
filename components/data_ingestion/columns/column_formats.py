"""The formats of columns that the options give, and the decisions about all others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.values.column_format import ColumnFormat, Kind
from kfp_tabular.components.data_ingestion.columns import column_decision
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision, Wishes
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("integer", "int", "int64"), "integer"),
    **dict.fromkeys(("number", "float", "float64", "double"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("text", "string", "str"), "text"),
}


@dataclass(frozen=True)
class Decider:
    """Decides how to read columns.

    Attributes:
        label: The label's column; empty for none.
        odd_values: What happens to values that do not fit.
        forced: The formats that are given, by column.
    """

    label: str = ""
    odd_values: str = "missing"
    forced: Mapping[str, ColumnFormat] = field(default_factory=dict)

    def decide(self, name: str, evidence: ColumnEvidence) -> Decision:
        """Decide how to read a column."""
        wishes = Wishes(self.odd_values, self.forced.get(name), name == self.label)
        return column_decision.decide(name, evidence, wishes)


def parse(column_types: Mapping[str, str]) -> dict[str, ColumnFormat]:
    """Parse the option `column_types`.

    Args:
        column_types: By column, `integer`, `number`, `boolean`, `text` or a common synonym.

    Raises:
        UserError: A type is unknown.

    Example:
        >>> parse({"zip": "string"})["zip"].kind
        'text'
    """
    found = {}
    for column, name in column_types.items():
        kind = _KINDS.get(str(name).lower())
        if kind is None:
            raise UserError(
                f"column_types: column {column!r}: expected integer, number, boolean or text, "
                f"found {name!r}.{closest(str(name), _KINDS)}"
            )
        found[column] = ColumnFormat(kind, verbatim=kind == "text")
    return found


def check_bags(given: Mapping[str, ColumnFormat], bags: Mapping[str, ColumnFormat]) -> None:
    """Check that no type is given for a column that is read as bags.

    Raises:
        UserError: One is.
    """
    for name in bags:
        if name in given:
            raise UserError(f"column_types: column {name!r} is read as bags, so it takes no type.")
