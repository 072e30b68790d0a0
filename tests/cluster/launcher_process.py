"""A task that runs one launch, in a process of its own.

Arguments: the flavour as `module:attribute`, and overrides as `name=<JSON>`.
"""

import importlib
import json
import logging
import sys

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.kubernetes.client.api import connect
from kfp_tabular.components.common.kubernetes.jobs import launch
from tests.cluster.clusters import QUICK


def main() -> None:
    """Run it as a component's interface does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    module, _, attribute = sys.argv[1].partition(":")
    flavour = getattr(importlib.import_module(module), attribute)
    changes = dict(argument.split("=", 1) for argument in sys.argv[2:])
    with reported_to_user():
        wanted = flavour.launch(**{name: json.loads(value) for name, value in changes.items()})
        result = launch.run(connect(QUICK), wanted)
        print("result", result["metadata"]["uid"], flush=True)


if __name__ == "__main__":
    main()
