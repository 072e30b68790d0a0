"""Training input: transformed Parquet, read, packed into matrices, shuffled and shared out.

`training_data` finds out about the data, `parquet_reader` reads row ranges of it as `packed_rows`,
`shuffling` streams them in a random order.
"""
