"""Prediction: loaded models, instances as tensors, and predictions for whole splits."""
