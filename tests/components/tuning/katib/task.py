"""A tuning task in a process of its own: `task.py DIRECTORY`, with inputs and outputs there."""

import json
import logging
import sys
from pathlib import Path

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.tuning import tune
from kfp_tabular.components.tuning.limits import Limits


def main() -> None:
    """Runs it as the component's interface does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    root = Path(sys.argv[1])
    inputs = root / "inputs"
    with reported_to_user():
        result = tune.run(
            tune.Request(
                transformed_examples=inputs / "transformed_examples",
                transform_graph=inputs / "transform_graph",
                hyperparameters=root / "out" / "hyperparameters",
                report=root / "out" / "report",
                search_space=[
                    {
                        "name": "learning_rate",
                        "parameterType": "double",
                        "feasibleSpace": {"min": "0.001", "max": "0.1"},
                    }
                ],
                limits=Limits(4, 2),
                backend=tune.KATIB,
                artifacts=tune.Artifacts(
                    str(inputs / "transformed_examples"), str(inputs / "transform_graph")
                ),
                job={"volumes": [{"claim": "data", "mount_path": str(inputs)}]},
                run_id="run-1",
            )
        )
    print("result", json.dumps(result.metrics), flush=True)


if __name__ == "__main__":
    main()
