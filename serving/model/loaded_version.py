"""A model version in memory, and what is needed to predict with it."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.serving.model.batching import Batcher
from kfp_tabular.serving.model.model_repository import ModelVersion
from kfp_tabular.serving.model.predictor import Predictor
from kfp_tabular.serving.settings.server_settings import BatchSettings


@dataclass(eq=False)
class LoadedVersion:
    """A loaded version.

    A request is decoded, predicted and encoded with the version that is current when it arrives,
    even if another version is served before it ends.

    Attributes:
        version: The name of the version's directory, or else a digest of its content.
        predictor: The model.
        batcher: Predicts the rows of requests.
        load_seconds: How long loading and warm-up took.
        requests: Requests in progress. Only the event loop's thread changes it.
    """

    version: str
    predictor: Predictor
    batcher: Batcher
    load_seconds: float
    requests: int = 0


@dataclass(frozen=True)
class VersionLoader:
    """Loads versions. `load` blocks for seconds: call it in a thread while others are served.

    Attributes:
        executor: Where predictions run.
        batches: How requests share calls of the model.
        calls: How many calls of the model run in parallel.
        observe_call: Called with the rows and requests of each call of the model.
    """

    executor: Executor
    batches: BatchSettings
    calls: int
    observe_call: Callable[[int, int], None]

    def load(self, found: ModelVersion) -> LoadedVersion:
        """Load a version and warm it up.

        Raises:
            UserError: If it cannot be loaded.
        """
        begin = time.monotonic()
        predictor = Predictor.load(found.directory)
        predictor.warm_up([self.batches.batch_rows])
        return LoadedVersion(
            version=found.version or lineage.content_version(lineage.digest(found.directory)),
            predictor=predictor,
            batcher=Batcher(
                predictor.predict, self.executor, self.batches, self.calls, self.observe_call
            ),
            load_seconds=time.monotonic() - begin,
        )
