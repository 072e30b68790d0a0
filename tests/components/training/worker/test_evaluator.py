"""An evaluator that is slower than training."""

import pytest

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.storage.object_store import MissingError
from kfp_tabular.components.training.worker import evaluator


class Emptied:
    """Storage whose checkpoints are removed while they are fetched."""

    def __init__(self, error):
        self.error = error

    def fetch(self, step):
        raise self.error


@pytest.mark.parametrize("error", [MissingError("gone"), FileNotFoundError("gone")])
def test_a_checkpoint_removed_while_it_is_fetched_is_skipped(error):
    assert evaluator._restore(import_tensorflow(), Emptied(error), 7, None) is None
