"""The names of the columns of a CSV file."""

from collections import Counter
from collections.abc import Sequence

from kfp_tabular.components.common.errors import UserError


def numbered(columns: int) -> tuple[str, ...]:
    """Return the names of columns that have none.

    Example:
        >>> numbered(2)
        ('column_1', 'column_2')
    """
    return tuple(f"column_{number}" for number in range(1, columns + 1))


def column_names(file: str, header: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a header; a column without one is called `unnamed_<number>`.

    Args:
        file: The URI of the file.
        header: The fields of the header.

    Raises:
        UserError: Two columns have the same name.

    Example:
        >>> column_names("taxi.csv", ["", "fare"])
        ('unnamed_1', 'fare')
    """
    twice = [name for name, count in Counter(name for name in header if name).items() if count > 1]
    if twice:
        raise UserError(
            f"{file}: the header has more than one column {twice[0]!r}. Rename one of them."
        )
    named = []
    for number, name in enumerate(header, start=1):
        if name:
            named.append(name)
            continue
        # The index as pandas writes it, or a delimiter at the end of each line.
        replacement = f"unnamed_{number}"
        while replacement in header:
            replacement += "_"
        named.append(replacement)
    return tuple(named)
