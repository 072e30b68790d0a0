"""The training pipeline: from tabular data to a served model."""
