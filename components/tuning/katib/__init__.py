"""Searches with Katib; the trials are jobs of an Experiment."""
