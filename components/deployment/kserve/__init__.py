"""Backend `kserve`: rolls a model out to a KServe endpoint.

`backend` runs a deployment. `resources` builds and reads Kubernetes resources as plain data,
`verification` checks a candidate over HTTP, and `rollout` moves clients to it, or back.
"""
