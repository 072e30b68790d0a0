"""Writes the rows of a source as examples.

- `passes`: one map over the source, or two where a type widens late.
- `piece_map`: what the map does: read a piece, write a shard for each split.
- `prepared_block`: check, type and split a block of rows.
- `row_facts`: what is known about the rows that were read, as a fold.
- `rejected_rows`: write the rows that are left out.
"""
