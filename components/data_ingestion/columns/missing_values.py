"""The texts that mean missing."""

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays

MISSING_MARKERS = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NAN",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
"""Missing in columns that do not hold text: the markers of `pandas.read_csv`, and `NAN`.

In a text column only the empty string is missing.
"""

_MARKERS = arrays.from_texts(MISSING_MARKERS)


def without_markers(text: pa.StringArray) -> pa.StringArray:
    """Return the values without surrounding blanks, and null for the missing markers.

    Example:
        >>> without_markers(pa.array([" 1", "NA", ""])).to_pylist()
        ['1', None, None]
    """
    trimmed = pc.utf8_trim_whitespace(text)
    return arrays.null_where(arrays.to_mask(pc.is_in(trimmed, _MARKERS)), trimmed)
