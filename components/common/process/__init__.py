"""This process and its children.

`termination` turns SIGTERM into an event, `child_process` starts, watches and stops children,
`tensorflow` imports TensorFlow with the settings that every process shares, `lean_imports` leaves
out what a task does not use of a package, and `process_exit` ends a process without the
interpreter's shutdown.
"""
