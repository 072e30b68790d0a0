"""Predictions: a loaded model, request instances as tensors, and predictions for splits of rows."""
