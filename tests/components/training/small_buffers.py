"""The training program as if data were large: they do not fit a buffer, nor a shard a request."""

from kfp_tabular.components.common.artifacts.examples import shard_file
from kfp_tabular.components.training.input import shuffling
from kfp_tabular.components.training.worker import program

BUFFER_ROWS = 300

if __name__ == "__main__":
    shuffling._BUFFER_ROWS = BUFFER_ROWS
    shard_file._WHOLE_BYTES = 0
    program.main()
