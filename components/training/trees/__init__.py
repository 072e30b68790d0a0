"""Boosted trees: trained by CatBoost, exported as TensorFlow operations."""
