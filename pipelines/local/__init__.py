"""Running pipelines on this machine: `pipeline_run.run`, and the demo."""
