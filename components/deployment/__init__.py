"""Deployment: publishes a verified model, or rolls it out to a KServe endpoint."""
