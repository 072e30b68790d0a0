"""Artifacts on disk: examples, the model and its document, hyperparameters, lineage."""
