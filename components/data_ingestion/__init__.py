"""Reads tabular data into split, typed examples."""
