"""Checks of column names."""

from collections.abc import Sequence

from kfp_tabular.components.common.errors import UserError, closest


def require_columns(wanted: Sequence[str], columns: Sequence[str], argument: str) -> None:
    """Check that the data have the columns that an argument names.

    Args:
        wanted: The columns that the argument names.
        columns: The columns of the data.
        argument: The argument's name, for messages.

    Raises:
        UserError: For the first column that does not exist.

    Example:
        >>> require_columns(["fair"], ["fare", "tip"], "label")
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: label: the data have no column 'fair', only
        'fare', 'tip'. Did you mean 'fare'?
    """
    for name in wanted:
        if name not in columns:
            _check_delimiter(columns)
            raise UserError(
                f"{argument}: the data have no column {name!r}, only {_some(columns)}."
                + closest(name, columns)
            )


def check_same_columns(
    first: str, columns: Sequence[str], file: str, others: Sequence[str]
) -> None:
    """Check that a file has the columns of the first file, in any order.

    Args:
        first: The URI of the first file.
        columns: The first file's columns.
        file: The URI of another file.
        others: The other file's columns.

    Raises:
        UserError: For the first column that only one of the files has.

    Example:
        >>> check_same_columns("a.csv", ["fare", "tip"], "b.csv", ["tip", "fare"])
        >>> check_same_columns("a.csv", ["fare", "tip"], "b.csv", ["fare", "tips"])
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: b.csv: column 'tip' is missing; a.csv has
        it. All files must have the same columns. Did you mean 'tips'?
    """
    expected, found = set(columns), set(others)
    for name in columns:
        if name not in found:
            raise UserError(
                f"{file}: column {name!r} is missing; {first} has it. All files must have the "
                f"same columns.{closest(name, others)}"
            )
    for name in others:
        if name not in expected:
            raise UserError(
                f"{file}: column {name!r} is not in {first}. All files must have the same "
                f"columns.{closest(name, columns)}"
            )


def _check_delimiter(columns: Sequence[str]) -> None:
    """Raise where CSV was read as one column because its delimiter is another one."""
    for delimiter, value in ((";", "';'"), ("\t", "tab"), ("|", "'|'")):
        if len(columns) == 1 and delimiter in columns[0]:
            raise UserError(
                f"the data have one column, {columns[0]!r}. It looks like {value} separates the "
                f"columns: set csv_delimiter to {value}."
            )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
