"""Access to a Kubernetes cluster, and the reconciler that all launchers share.

`client` talks to the API server, `pods` reads what pods report, `jobs.launch` runs a job to its
end. `names` derives resource names and `owner_reference` ties a resource to its pipeline run.
"""
