"""Writes the rows of a source as examples.

- `passes`: one pass over the source, or two where a type widens late.
- `prepared_block`: check, type and split a block of rows.
- `rejected_rows`: write the rows that are left out.
"""
