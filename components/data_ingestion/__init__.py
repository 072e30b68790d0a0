"""Data ingestion: reads tabular data and writes them as split, typed examples.

- `component`: the KFP interface. `options`: its arguments. `ingest`: the logic behind it.
- `readers`: one reader per file format. `columns`: types of columns.
- `splits`: which split a row belongs to. `writing`: examples and rejected rows.
"""
