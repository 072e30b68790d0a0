"""A task's work as a SparkApplication, which the Kubeflow Spark Operator runs.

The task makes the application, follows it, and fetches what its driver has made. The driver runs
the same component on the same request.

- `task_request`: what the driver runs, and where its inputs and outputs are.
- `spark_application`: the Kubernetes resource.
- `plan`: the application of a task, with its name and its folder.
- `launcher`: runs it.
"""
