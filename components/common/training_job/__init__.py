"""Training jobs as Kubernetes resources.

- `job_settings`: the `job` argument, parsed and checked.
- `job_spec`: a job before it is a resource of any kind.
- `job_kind`, `job_kinds`: the kinds of job (`tfjob`, `trainjob`, `batch_job`), each a `JobKind`
  that builds the resource, reads its status and selects its pods.
- `pod_template`: the pods, alike in every kind.
- `artifact_access`: checks that a job's pods can access the artifacts of its task.
- `task_image`: the image of the running task, the default image of its jobs.
"""
