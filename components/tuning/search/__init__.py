"""A search, whatever runs it: search space, objective, early stopping, settings and trials."""
