"""Kubeflow Pipelines servers: runs, schedules, and following a run."""
