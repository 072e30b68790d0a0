"""Prometheus metrics of the endpoint."""
