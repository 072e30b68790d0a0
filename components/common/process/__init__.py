"""This process and its children.

`termination` turns SIGTERM into an event, `child_process` starts, watches and stops children, and
`tensorflow` imports TensorFlow with the settings that every process shares.
"""
