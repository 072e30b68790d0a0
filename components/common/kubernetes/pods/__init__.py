"""Pods as a launcher sees them: why one failed or does not start, and the lines of its log."""
