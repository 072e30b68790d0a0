"""Metrics by task, as sums over rows in bounded memory, with bootstrap intervals."""
