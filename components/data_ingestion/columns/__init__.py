"""Columns: their names, the types that their values fit, and Arrow arrays as numpy.

- `column_types`: infer or force the type of a column of text.
- `typed_columns`: convert columns that already have a type.
- `nested_columns`: flatten columns with several values per row, or read them as bags.
- `missing_values`: the texts that mean missing.
- `column_names`: checks of names.
- `arrays`: Arrow arrays to and from numpy.
"""
