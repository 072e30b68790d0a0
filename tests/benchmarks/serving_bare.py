"""The server of this project without validation, metrics and authentication, for comparison.

    python serving_bare.py --model MODEL --port PORT ...

Values go into arrays unchecked, nothing is counted, and no key is required.
"""

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

TYPES = {"float32": np.float32, "int64": np.int64, "string": object}


@cache
def by_type(inputs: tuple[Any, ...]) -> Mapping[str, list[tuple[str, str, Any]]]:
    """Sort the inputs by type, as the server does."""
    found: dict[str, list[tuple[str, str, Any]]] = {}
    for item in inputs:
        found.setdefault(item.dtype, []).append((item.name, item.input, item.missing))
    return found


def decode(document: Any, interface: Any, most_rows: int) -> Mapping[str, "np.ndarray[Any, Any]"]:
    """Take v1's instances on trust."""
    rows = document["instances"]
    decoded = {}
    for kind, features in by_type(interface.spec.inputs).items():
        values = [row.get(name, missing) for name, _, missing in features for row in rows]
        array = np.array(values, TYPES[kind])
        for place, (_, name, _) in enumerate(features):
            decoded[name] = array[place * len(rows) : (place + 1) * len(rows)]
    return decoded


def main() -> None:
    """Serve until it is told to stop."""
    from kfp_tabular.serving.__main__ import main as serve
    from kfp_tabular.serving.metrics.instruments import Metrics
    from kfp_tabular.serving.model import served_model
    from kfp_tabular.serving.process import model_server
    from kfp_tabular.serving.protocol import v1_json

    v1_json.decode = decode
    served_model.check_domains = lambda *_: None
    model_server.HttpMetrics = lambda app, metrics: app
    for name in ("observe_rows", "observe_call", "count_predictions"):
        setattr(Metrics, name, lambda *_: None)
    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
