"""Public tables from Python packages, in an environment of the benchmarks' own.

- `installation`: makes the environment, and writes tables as CSV with it.
- `export`: runs there.
"""
