"""Columns: their names, what their values show, and how they are read.

- `column_evidence`: what the values of a block show; merges to what the column shows.
- `number_shapes`: in which notations a text is a number.
- `column_decision`: how to read a column, decided from the evidence.
- `time_choice`: whether a column holds points in time.
- `column_formats`: the formats that the options give.
- `conversion`: convert a column as it was decided.
- `typed_columns`: reduce columns that already have a type to a few types.
- `nested_columns`: flatten columns with several values per row, or read them as bags.
- `column_names`: checks of names.
"""
