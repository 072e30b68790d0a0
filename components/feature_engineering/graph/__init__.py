"""Builds and writes the transform graph.

- `preprocessing_graph`: turn a feature plan into TensorFlow operations.
- `user_function`: analyze the user's own `preprocessing_fn`.
- `transform_graph`: the files of the graph.
"""
