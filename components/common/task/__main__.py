"""Runs one task: `python3 -m kfp_tabular.components.common.task`."""

from kfp_tabular.components.common.process.process_exit import without_shutdown
from kfp_tabular.components.common.task.task_process import main

if __name__ == "__main__":
    with without_shutdown():
        main()
