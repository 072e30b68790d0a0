"""Assigns rows to splits.

- `split_choice`: choose the splitter that the options ask for.
- `splitters`: assign rows by hash, by time or by a column.
- `split_names`: names and shares of splits. `split_times`: times as numbers.
- `row_hashing`: a hash of rows that is the same everywhere.
"""
