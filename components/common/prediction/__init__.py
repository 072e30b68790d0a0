"""Predicting with a model of this project: its SavedModel, and instances as clients send them."""
