"""The task in a process of its own: `python -m tests.components.deployment.kserve.task ORDER`."""

import json
import logging
import sys
from pathlib import Path

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.kubernetes.client.api import connect
from kfp_tabular.components.deployment.kserve import backend
from kfp_tabular.components.deployment.kserve.rollout.cluster import Timing
from kfp_tabular.components.deployment.kserve.rollout.lock import Terms
from tests.cluster.clusters import QUICK

QUICK_TIMING = Timing(
    poll_seconds=0.05,
    doubt_seconds=0.5,
    traffic_seconds=10,
    terms=Terms(seconds=1, poll_seconds=0.05),
)
"""So that a test of what takes minutes takes seconds."""

PATHS = ("model", "golden_examples", "summary")


def main() -> None:
    """Deploys as a component's interface does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fields = json.loads(sys.argv[1])
    fields |= {name: Path(fields[name]) for name in PATHS}
    with reported_to_user():
        deployed = backend.run(backend.Order(**fields), connect(QUICK), QUICK_TIMING)
        print("deployed", deployed.revision, flush=True)


if __name__ == "__main__":
    main()
