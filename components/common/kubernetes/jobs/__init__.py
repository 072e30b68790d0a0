"""The reconciler that all launchers share.

`launch.run` creates the resource that a `launch_spec.Launch` describes, or adopts the one that an
earlier attempt created, waits for its end and cleans up.
"""
