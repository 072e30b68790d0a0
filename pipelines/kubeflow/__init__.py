"""Takes pipelines to a Kubeflow Pipelines server: runs, schedules, and following a run."""
