"""Functions as tasks: `component` declares one to KFP, `task_process` runs it in its image.

The compiled spec holds the name of the function, not its source.
"""
