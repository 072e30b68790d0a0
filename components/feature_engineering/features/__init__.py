"""Derives what becomes of each column, without TensorFlow.

- `feature_config`: the user's configuration of single features.
- `column_facts`: facts about columns, from one pass over the train split.
- `feature_plan`: the plan for all columns, derived from schema, facts and configuration.
"""
