"""Runs side by side: a list, a comparison of two, the best one."""
