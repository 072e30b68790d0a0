"""Turns nested columns into flat ones, in the ways that the option `nested` names.

- `flatten`: a struct becomes a column per field (`address.city`), a list a column per position
  (`scores_0`), a map a column per key (`settings.theme`); again for what they contain.
- `bag`: a list becomes one column of bags (`common.values.bags`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import arrays, bags
from kfp_tabular.components.data_ingestion.columns import typed_columns
from kfp_tabular.components.data_ingestion.nested_ways import BAG, FLATTEN

MOST_POSITIONS = 64
"""Columns that a list or a map may become. Longer ones are bags, or no table."""


def advice(columns: Mapping[str, pa.DataType]) -> str:
    """Return what to do about nested columns that no option mentions.

    Args:
        columns: Their types by name.

    Example:
        >>> advice({"tags": pa.list_(pa.string()), "address": pa.struct([("zip", pa.string())])})
        'Add exclude=["tags", "address"], or nested={"tags": "bag", "address": "flatten"}.'
    """
    excluded = ", ".join(f'"{name}"' for name in columns)
    ways = ", ".join(
        f'"{name}": "{BAG if _is_bag(arrow_type) else FLATTEN}"'
        for name, arrow_type in columns.items()
    )
    return f"Add exclude=[{excluded}], or nested={{{ways}}}."


def flat_names(name: str, arrow_type: pa.DataType) -> list[str] | None:
    """Return the columns that a column becomes, or None where that depends on its values.

    Example:
        >>> flat_names("at", pa.struct([("x", pa.float64()), ("y", pa.float64())]))
        ['at.x', 'at.y']
        >>> flat_names("at", pa.list_(pa.float64())) is None
        True
    """
    if pa.types.is_struct(arrow_type):
        found: list[str] = []
        for field in arrow_type:
            inner = flat_names(f"{name}.{field.name}", field.type)
            if inner is None:
                return None
            found += inner
        return found
    if pa.types.is_fixed_size_list(arrow_type):
        if flat_names(name, arrow_type.value_type) is None:
            return None
        return [
            inner
            for position in range(arrow_type.list_size)
            for inner in flat_names(f"{name}_{position}", arrow_type.value_type) or ()
        ]
    return None if _is_nested(arrow_type) else [name]


def flatten(name: str, values: pa.Array) -> dict[str, pa.Array]:
    """Return the columns that a column becomes.

    Args:
        name: The column's name.
        values: Its values. A list contributes as many columns as its longest value here has items.

    Raises:
        UserError: A list or a map has too many items.

    Example:
        >>> at = pa.array([{"x": 1, "y": [2, 3]}, None])
        >>> {name: column.to_pylist() for name, column in flatten("at", at).items()}
        {'at.x': [1, None], 'at.y_0': [2, None], 'at.y_1': [3, None]}
    """
    found = values.type
    if isinstance(found, pa.BaseExtensionType):
        return flatten(name, values.storage)
    if pa.types.is_struct(found):
        fields = zip(found, values.flatten(), strict=True)
        return _merged(flatten(f"{name}.{field.name}", inner) for field, inner in fields)
    if pa.types.is_map(found):
        return _merged(flatten(f"{name}.{key}", inner) for key, inner in _by_key(name, values))
    if _is_list(found):
        inner = _by_position(name, values)
        return _merged(flatten(f"{name}_{k}", items) for k, items in enumerate(inner))
    return {name: values}


def bag(name: str, values: pa.Array, *, as_text: bool) -> pa.StringArray:
    """Return lists as bags.

    Args:
        name: The column's name.
        values: Lists of numbers, texts, booleans or times; a column of single values is a column
            of bags of one.
        as_text: Whether items that are numbers become text, because other files have text.

    Raises:
        UserError: The values are no such lists.

    Example:
        >>> bag("tags", pa.array([["red", None], None]), as_text=True).to_pylist()
        ['["red"]', None]
    """
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    check_bag(name, values.type)
    lists = _as_list(values)
    items = lists.flatten()
    if pa.types.is_floating(items.type):
        # The shortest decimal of a float32, not the double with the same bits.
        items = pc.cast(pc.cast(items, pa.string()), pa.float64())
    plain = typed_columns.plain(items).values
    lengths = arrays.to_integers(pc.cast(pc.list_value_length(lists), pa.int64()))
    rebuilt = pa.LargeListArray.from_arrays(_offsets(lengths), plain)
    texts = bags.from_lists(rebuilt, as_text=as_text)
    return arrays.null_where(~arrays.to_valid(lists), texts) if lists.null_count else texts


def check_bag(name: str, arrow_type: pa.DataType) -> None:
    """Check that values of a type can be read as bags.

    Raises:
        UserError: They are structs, maps or lists of lists.
    """
    item = item_type(arrow_type)
    if item is None or not typed_columns.is_scalar(item):
        raise UserError(
            f"nested: column {name!r} has type {arrow_type}; a bag is a list of numbers or texts. "
            f'Use "flatten", or exclude the column.'
        )


def item_type(arrow_type: pa.DataType) -> pa.DataType | None:
    """Return the type of a list's items, or of a single value; None for structs and maps.

    Example:
        >>> item_type(pa.list_(pa.int64())), item_type(pa.string())
        (DataType(int64), DataType(string))
    """
    if _is_list(arrow_type):
        return arrow_type.value_type
    return arrow_type if typed_columns.is_scalar(arrow_type) else None


def holds_text(arrow_type: pa.DataType) -> bool:
    """Return whether a value or an item of this type is text, rather than a number.

    Example:
        >>> holds_text(pa.dictionary(pa.int32(), pa.string())), holds_text(pa.bool_())
        (True, False)
    """
    if pa.types.is_dictionary(arrow_type):
        return holds_text(arrow_type.value_type)
    return not (
        pa.types.is_null(arrow_type)
        or pa.types.is_boolean(arrow_type)
        or pa.types.is_integer(arrow_type)
        or pa.types.is_floating(arrow_type)
        or pa.types.is_decimal(arrow_type)
        or pa.types.is_duration(arrow_type)
    )


def _is_bag(arrow_type: pa.DataType) -> bool:
    return _is_list(arrow_type) and typed_columns.is_scalar(arrow_type.value_type)


def _is_nested(arrow_type: pa.DataType) -> bool:
    return not typed_columns.is_scalar(arrow_type)


def _is_list(arrow_type: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(matches(arrow_type) for matches in kinds)


def _as_list(values: pa.Array) -> pa.Array:
    """Return lists of any kind as `list` or `large_list`, and single values as lists of one."""
    found = values.type
    if not _is_list(found):
        valid = arrays.to_valid(values)
        kept = values if valid.all() else values.filter(arrays.from_mask(valid))
        lists = pa.LargeListArray.from_arrays(_offsets(valid.astype(np.int64)), kept)
        return arrays.null_where(~valid, lists) if not valid.all() else lists
    if pa.types.is_list(found) or pa.types.is_large_list(found):
        return values
    return pc.cast(values, pa.large_list(found.value_type))


def _by_position(name: str, values: pa.Array) -> list[pa.Array]:
    fixed = values.type.list_size if pa.types.is_fixed_size_list(values.type) else 0
    lists = _as_list(values)
    lengths = arrays.to_integers(pc.cast(pc.list_value_length(lists), pa.int64()))
    longest = fixed or int(lengths.max(initial=0))
    if longest > MOST_POSITIONS:
        raise UserError(
            f"nested: column {name!r} has a list of {longest} items; flatten takes at most "
            f'{MOST_POSITIONS}. Use "bag", or exclude the column.'
        )
    items = lists.flatten()
    starts = np.cumsum(lengths) - lengths
    return [
        items.take(arrays.null_where(lengths <= position, arrays.from_integers(starts + position)))
        for position in range(longest)
    ]


def _by_key(name: str, values: pa.Array) -> list[tuple[Any, pa.Array]]:
    keys = pc.drop_null(pc.unique(values.keys)).to_pylist()
    if len(keys) > MOST_POSITIONS:
        raise UserError(
            f"nested: column {name!r} has more than {MOST_POSITIONS} keys; flatten takes at most "
            "that many. Exclude the column."
        )
    return [
        (key, pc.map_lookup(values, pa.scalar(key, values.type.key_type), "first"))
        for key in sorted(keys, key=str)
    ]


def _offsets(lengths: "np.ndarray[Any, np.dtype[np.int64]]") -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return arrays.from_integers(offsets)


def _merged(parts: Iterable[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for part in parts:
        found.update(part)
    return found
