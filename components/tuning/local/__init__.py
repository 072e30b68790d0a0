"""Searches with Optuna; the trials are processes of the tuning task."""
