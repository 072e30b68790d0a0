"""The task in a process of its own: `python -m tests.components.deployment.kserve.task REQUEST`."""

import json
import logging
import sys
from pathlib import Path

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.kubernetes.client.api import connect
from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
from kfp_tabular.components.deployment.kserve import backend
from kfp_tabular.components.deployment.kserve.rollout.cluster import RolloutTiming
from kfp_tabular.components.deployment.kserve.rollout.endpoint_lock import LeaseTiming
from kfp_tabular.components.deployment.options import DeploymentOptions
from tests.cluster.clusters import QUICK

QUICK_TIMING = RolloutTiming(
    poll_seconds=0.05,
    doubt_seconds=0.5,
    traffic_seconds=10,
    lease=LeaseTiming(seconds=1, poll_seconds=0.05),
)
"""So that a test of what takes minutes takes seconds."""

PATHS = ("model", "golden_examples", "summary")


def main() -> None:
    """Deploy as a component's interface does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fields = json.loads(sys.argv[1])
    fields |= {name: Path(fields[name]) for name in PATHS}
    fields["options"] = DeploymentOptions(**fields["options"])
    with reported_to_user():
        request = DeploymentRequest(**fields)
        deployed = backend.run(request, connect(QUICK), QUICK_TIMING)
        print("deployed", deployed.revision, flush=True)


if __name__ == "__main__":
    main()
