"""Feature engineering: derives model-ready features, and writes the TFT graph that computes them.

- `component`: the KFP interface. `options`: its arguments. `transform`: the logic behind it.
- `features`: what becomes of each column. `graph`: the transform graph.
- `task_resolution`, `target_encoding`: the label. `transformed_examples`, `transform_summary`:
  the outputs.
- `preprocessing`: functions for your own `preprocessing_fn`.
"""
