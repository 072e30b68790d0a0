"""Tests of the difference between two models that answer the same rows."""
