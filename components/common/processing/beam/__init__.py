"""The engine that runs folds and maps as pipelines of Apache Beam.

A runner schedules pieces and moves states. This package's own code reads and computes, on the
runner's workers: no row is an element of a pipeline.

- `installation`: finds Beam, and makes its options.
- `beam_engine`: the engine; builds and runs the pipelines.
- `worker_tasks`: what workers run.
- `exchange`: a folder through which driver and workers pass pieces, errors and results.
"""
