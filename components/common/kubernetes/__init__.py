"""Access to a Kubernetes cluster, and the one reconciler that all launchers share.

`launch.run` creates a resource or adopts the one an earlier attempt created, waits for it and
cleans up. `api.connect` gives what it works with. The rest serves the two.
"""
