"""Trains and exports the model."""
