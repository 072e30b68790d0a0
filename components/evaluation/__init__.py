"""Evaluation: measures a model on held-out examples and decides whether it is blessed."""
