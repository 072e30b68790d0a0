"""Derives what becomes of each column, without TensorFlow.

- `schema_columns`, `column_facts`, `feature_config`: what the schema, the data and the user say.
- `feature_plan`: plan the features of all columns, with `kind_choice` and `feature_builders`.
- `planned_features`: the kinds of features. `timestamp_formats`: formats of points in time.
"""
