"""A tuning task in a process of its own: `task.py DIRECTORY`, with inputs and outputs there."""

import json
import logging
import sys
from pathlib import Path

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.tuning import tune
from kfp_tabular.components.tuning.options import KATIB, TuningOptions
from kfp_tabular.components.tuning.tuning_request import ArtifactUris, TuningRequest


def main() -> None:
    """Run it as the component does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    root = Path(sys.argv[1])
    inputs = root / "inputs"
    with reported_to_user():
        result = tune.run(
            TuningRequest(
                options=TuningOptions(
                    search_space=[
                        {
                            "name": "learning_rate",
                            "parameterType": "double",
                            "feasibleSpace": {"min": "0.001", "max": "0.1"},
                        }
                    ],
                    max_trials=4,
                    parallel_trials=2,
                    backend=KATIB,
                    job={"volumes": [{"claim": "data", "mount_path": str(inputs)}]},
                    run_id="run-1",
                ),
                transformed_examples=inputs / "transformed_examples",
                transform_graph=inputs / "transform_graph",
                hyperparameters=root / "out" / "hyperparameters",
                report=root / "out" / "report",
                uris=ArtifactUris(
                    str(inputs / "transformed_examples"), str(inputs / "transform_graph")
                ),
            )
        )
    print("result", json.dumps(result.metrics), flush=True)


if __name__ == "__main__":
    main()
