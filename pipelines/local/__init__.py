"""Runs a compiled pipeline spec without a cluster."""
