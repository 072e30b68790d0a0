"""Statistics of examples, and distances between two sets of them.

Shared by data validation and by everything that compares data of two times or two places.

- `tfdv_statistics`: compute TFDV statistics of every split from Arrow batches.
- `statistics_files`: write and read the statistics artifact.
- `column_summary`: a column's statistics as a plain dataclass.
- `distances`: skew and drift between two summaries, with `distance_thresholds`.
- `leaks`: columns that alone predict the label.
- `batch_scan`: what TFDV leaves out: values of whole-number codes, times in text, a sample.

Modules import TFDV only inside the functions that need it.
"""
