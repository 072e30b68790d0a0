r"""Bags: any number of values per row, which the examples hold as text.

The text is a JSON array of numbers or of texts, written in one way only: without blanks, whole
numbers without a fraction, and without `"`, `\` or `,` inside a text, which stand there as
`\u0022`, `\u005c` and `\u002c`. So equal bags are equal texts, a graph can split a bag at its
commas, and its items ("tokens") can be compared without decoding them. Items that are missing are
left out.
"""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays

SEPARATOR = ","

_EXACT_DOUBLE = 2.0**53
_ESCAPED = {
    code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F, 0x85, 0x2028, 0x2029, *map(ord, '"\\,'))
}


def token(item: "str | float") -> str:
    r"""Return an item as a bag's text holds it.

    Args:
        item: Text, or a finite number; true and false are 1 and 0.

    Example:
        >>> token("a,b"), token(2.0), token(0.5)
        ('"a\\u002cb"', '2', '0.5')
    """
    if isinstance(item, str):
        return f'"{item.translate(_ESCAPED)}"'
    if isinstance(item, int):
        return str(int(item))
    if item == math.floor(item) and abs(item) < _EXACT_DOUBLE:
        return str(int(item))
    return repr(float(item))


def item(text: str) -> "str | float":
    r"""Return the item that a token stands for.

    Example:
        >>> item('"a\\u002cb"'), item("2")
        ('a,b', 2)
    """
    found: str | float = json.loads(text)
    return found


def write(items: "Iterable[str | float | None]") -> str:
    """Return a bag as text; items that are None, empty or not finite are missing.

    Example:
        >>> write(["red", None, "blue"]), write([])
        ('["red","blue"]', '[]')
    """
    tokens = (token(value) for value in items if value is not None and _is_present(value))
    return f"[{SEPARATOR.join(tokens)}]"


def read(text: str) -> "list[str | float]":
    """Return the items of a bag's text.

    Raises:
        ValueError: The text is not a JSON array of numbers and texts.

    Example:
        >>> read('["red", "blue"]')
        ['red', 'blue']
    """
    found = json.loads(text, parse_constant=_refuse)
    if not isinstance(found, list):
        raise ValueError("not a JSON array")
    for value in found:
        if value is not None and not isinstance(value, str | int | float):
            raise ValueError("an item is neither a number nor text")
    return [value for value in found if _is_present(value)]


def from_lists(values: pa.Array, *, as_text: bool) -> pa.StringArray:
    """Return lists as bags.

    Args:
        values: Of type `list` or `large_list`, of `int64`, `float64` or `string`. Null stays null.
        as_text: Whether items that are numbers become text.

    Example:
        >>> from_lists(pa.array([["red", "blue"], [], None]), as_text=True).to_pylist()
        ['["red","blue"]', '[]', None]
    """
    encoded = values.flatten().dictionary_encode()
    distinct: Sequence[Any] = encoded.dictionary.to_pylist()
    if as_text:
        distinct = [value if isinstance(value, str) else token(value) for value in distinct]
    present = np.array([_is_present(value) for value in distinct], np.bool_)
    tokens = arrays.from_texts(
        [token(value) if there else "" for value, there in zip(distinct, present, strict=True)]
    )
    indices = pc.cast(encoded.indices, pa.int64())
    kept = arrays.to_valid(indices)
    if not present.all():
        kept &= present[arrays.to_integers(indices)]
    parents = arrays.to_integers(pc.cast(pc.list_parent_indices(values), pa.int64()))
    lengths = np.bincount(parents[kept], minlength=len(values))
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    items = tokens.take(indices.filter(arrays.from_mask(kept)))
    lists = pa.LargeListArray.from_arrays(arrays.from_integers(offsets), items)
    joined = pc.binary_join(lists, SEPARATOR)
    texts = pc.binary_join_element_wise("[", joined, "]", "")
    return arrays.null_where(~arrays.to_valid(values), pc.cast(texts, pa.string()))


def tokens(texts: pa.StringArray, separator: str = "") -> pa.ListArray:
    """Return the tokens of bags; those of a null are null.

    Args:
        texts: Bags as `from_lists` writes them or, with a separator, text between separators.
        separator: What separates the items of other text.

    Example:
        >>> tokens(pa.array(['["red","blue"]', "[]", None])).to_pylist()
        [['"red"', '"blue"'], [], None]
        >>> tokens(pa.array(["red; blue", ""]), separator=";").to_pylist()
        [['red', 'blue'], []]
    """
    bare = texts if separator else pc.utf8_slice_codeunits(texts, 1, -1)
    lists = pc.split_pattern(bare, separator or SEPARATOR)
    items = pc.ascii_trim_whitespace(lists.flatten()) if separator else lists.flatten()
    parents = arrays.to_integers(pc.cast(pc.list_parent_indices(lists), pa.int64()))
    filled = arrays.to_mask(pc.not_equal(items, ""))
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.bincount(parents[filled], minlength=len(texts)), out=offsets[1:])
    kept = items.filter(arrays.from_mask(filled))
    found = pa.LargeListArray.from_arrays(arrays.from_integers(offsets), kept)
    return arrays.null_where(~arrays.to_valid(texts), found) if texts.null_count else found


def _is_present(value: Any) -> bool:
    if value is None or value == "":
        return False
    return isinstance(value, str) or math.isfinite(value)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
