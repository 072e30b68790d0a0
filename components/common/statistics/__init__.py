"""Statistics of examples, and distances between two sets of them.

Shared by data validation and by everything that compares data of two times or two places.

- `tfdv_statistics`: compute TFDV statistics of every split, by a fold over pieces.
- `split_folds`, `column_folds`: its accumulators; `tfdv_protos` turns their results into protos.
- `statistics_files`: write and read the statistics artifact.
- `column_summary`: a column's statistics as a plain dataclass.
- `distances`: skew and drift between two summaries, with `distance_thresholds`.
- `leaks`: columns that alone predict the label.
- `lean_tfdv`: TFDV's validation, without the rest of TFDV.

Modules import TFDV only inside the functions that need it.
"""
