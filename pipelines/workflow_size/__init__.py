"""How large a pipeline's Workflow becomes on a cluster, and the limits that `estimate.check` keeps.

`workflow` repeats what KFP's API server makes of a spec and what Argo adds while it runs;
`runtime_values` is what tasks pass each other. See docs/decisions/workflow-size.md.
"""
