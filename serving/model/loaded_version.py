"""A version of a model in memory, and what it takes to answer with it."""

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

    A request takes the release that is current when it comes, and has its answer decoded, predicted
    and encoded with that one, whatever is served when it ends.

    Attributes:
        version: The version: that of its directory, or else what follows from its content.
        predictor: The model.
        batcher: Predicts the rows of requests.
        load_seconds: How long loading and warming up took.
        requests: Requests under way. Counted in the event loop's thread only.
    """

    version: str
    predictor: Predictor
    batcher: Batcher
    load_seconds: float
    requests: int = 0


@dataclass(frozen=True)
class VersionLoader:
    """Makes releases. `load` blocks for seconds; call it in a thread while others are served.

    Attributes:
        executor: Where predictions run.
        batches: How requests share calls of the model.
        calls: Calls of the model that run side by side.
        called: Is told the rows and the requests of each call of the model.
    """

    executor: Executor
    batches: BatchSettings
    calls: int
    called: Callable[[int, int], None]

    def load(self, found: ModelVersion) -> LoadedVersion:
        """Loads a version and warms it up.

        Raises:
            UserError: Where it cannot be loaded.
        """
        begin = time.monotonic()
        predictor = Predictor.load(found.directory)
        predictor.warm_up([self.batches.rows])
        return LoadedVersion(
            version=found.version or lineage.content_version(lineage.digest(found.directory)),
            predictor=predictor,
            batcher=Batcher(
                predictor.predict, self.executor, self.batches, self.calls, self.called
            ),
            load_seconds=time.monotonic() - begin,
        )
