"""Environment variables and Java options of executors."""

import sys

TENSORFLOW = "KFP_TABULAR_EXECUTOR_TENSORFLOW"
"""Set where tasks need TensorFlow."""

MODULES = "KFP_TABULAR_EXECUTOR_MODULES"
"""Modules that tasks need, besides."""

JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java only passes bytes on. The compiler for hot code and garbage collection in parallel would
take more of the processors' time than they save."""

_TASKS_WITH_TENSORFLOW = ("transform-features", "evaluate-model")
_PACKAGE = "kfp_tabular.components."


def environment(task: str) -> dict[str, str]:
    """Return the environment variables of the Python processes of executors.

    Args:
        task: The task of a pipeline that runs on them; empty for another.

    Example:
        >>> environment("evaluate-model")["TF_NUM_INTRAOP_THREADS"]
        '1'
    """
    # Each core has a process of its own.
    found = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    # What this process has imported for the task, but for the interface of KFP.
    loaded = [name for name in sys.modules if name.startswith(_PACKAGE)]
    found[MODULES] = " ".join(name for name in sorted(loaded) if not name.endswith(".component"))
    if task in _TASKS_WITH_TENSORFLOW:
        found[TENSORFLOW] = "1"
    return found
