"""Searches hyperparameters."""
