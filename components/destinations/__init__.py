"""Checks before the long tasks of a run that its late ones can write: volumes, buckets."""
