"""The ways in which a column with several values per row becomes columns."""

FLATTEN = "flatten"
"""Several columns: one for each field, position or key."""

BAG = "bag"
"""One column, whose values are bags (`common.values.bags`)."""

NESTED_WAYS = (BAG, FLATTEN)
