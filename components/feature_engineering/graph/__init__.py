"""Builds and writes the transform graph.

- `preprocessing_graph`, `timestamp_graph`: turn a feature plan into TensorFlow operations.
- `user_function`: analyze the user's own `preprocessing_fn`.
- `transform_graph`: write the files of the graph.
"""
