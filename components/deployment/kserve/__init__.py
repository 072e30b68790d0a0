"""Rolls a model out to a KServe endpoint: verified step by step, and back where it fails."""
