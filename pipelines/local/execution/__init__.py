"""Execution of a compiled spec: `spec_runner.run_spec`, and the `TaskRunner` that starts tasks."""
