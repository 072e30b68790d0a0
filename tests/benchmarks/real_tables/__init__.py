"""Tables as people have them, each through the whole pipeline, compared with what is right.

    .venvs/tensorflow/bin/python -m tests.benchmarks.real_tables [-k PART_OF_A_NAME ...]

- `dialects`, `numbers`, `dates`, `labels`, `sources`: the cases; each writes a table and says what
  a careful analyst expects. `lookalikes`: the same for imitations of well-known tables.
- `case`: their registry, and the clean table. `outcome`: what a run did, and the expectations.
"""
