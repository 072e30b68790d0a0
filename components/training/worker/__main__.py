"""`python -m kfp_tabular.components.training.worker`: the training program, see `program`."""

import os

from kfp_tabular.components.common.process.process_exit import without_shutdown
from kfp_tabular.components.training.worker import program

if __name__ == "__main__":
    if "TF_CONFIG" in os.environ:
        # The processes of a job take leave of one another when TensorFlow shuts down.
        program.main()
    else:
        with without_shutdown():
            program.main()
