"""Turns examples into model-ready features (TFT)."""
