"""Assigns rows to splits.

- `split_choice`: choose how to split from the options. `splitting`: the interface to the passes.
- `splitters`: assign rows by hash, by time or by a column.
- `split_names`: names and shares of splits. `split_times`: times as numbers.
- `row_hashing`: a hash of rows that is the same everywhere.
- `chosen_split`: assign rows by a hash of columns that are chosen from the data (`key_choice`) by
  mergeable evidence (`split_evidence`, `value_sample`). `split_hints`: findings about the split.
"""
