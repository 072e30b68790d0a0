"""Searches hyperparameters with a Katib Experiment."""
