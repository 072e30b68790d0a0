"""The server of this project without validation, metrics and authentication, for comparison.

    python serving_bare.py --model MODEL --port PORT ...

Values go into arrays as they come, nothing is counted, and nobody is asked for a key.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"float32": np.float32, "int64": np.int64, "string": object}


def decode(document: Any, predictor: Any, most_rows: int) -> Mapping[str, "np.ndarray[Any, Any]"]:
    """Takes v1's instances on trust."""
    rows = document["instances"]
    return {
        item.input: np.array([row.get(item.name, item.missing) for row in rows], TYPES[item.dtype])
        for item in predictor.spec.inputs
    }


def main() -> None:
    """Serves until it is told to stop."""
    from kfp_tabular.serving import model, server, v1
    from kfp_tabular.serving.__main__ import main as serve
    from kfp_tabular.serving.metrics.instruments import Metrics

    v1.decode = decode
    model.check = lambda *_: None
    server.RestMetrics = lambda app, metrics: app
    for name in ("asked", "called", "predicted"):
        setattr(Metrics, name, lambda *_: None)
    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
