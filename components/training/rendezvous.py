"""The program of a TrainJob's pods: `python -m kfp_tabular.components.training.rendezvous`.

Kubeflow Trainer sets no TF_CONFIG. This program builds it from what a JobSet's pods have, and then
runs the worker program in the same process. The pods need:

- `JOB_COMPLETION_INDEX`: set by the Job controller in every pod of an Indexed Job; 0 is the chief.
- `KFP_TABULAR_WORKERS`: the number of pods, `spec.trainer.numNodes`. Kubernetes does not tell the
  pods, so the TrainJob must.
- `KFP_TABULAR_JOBSET`: the JobSet's name, from the pod's label `jobset.sigs.k8s.io/jobset-name`.
- `spec.network.enableDNSHostnames: true` in the JobSet, which creates a headless service of its
  name, and `publishNotReadyAddresses`, because the pods connect before they are ready.
- A replicated job `node` of one replica.

Pod i is then `<jobset>-node-0-<i>.<jobset>` and keeps that name when it is restarted; `node` and
the port are those of `common.training_job`. Pods start at different times; the worker program waits
a limited time for the others.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence

from kfp_tabular.components.common.errors import UserError, reported_to_user
from kfp_tabular.components.common.training_job.pod_template import PORT
from kfp_tabular.components.common.training_job.trainjob import (
    CONTAINER,
    JOBSET_VARIABLE,
    WORKERS_VARIABLE,
)
from kfp_tabular.components.training.distributed import replica_role
from kfp_tabular.components.training.worker import program

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"

_logger = logging.getLogger(__name__)


def tf_config(environment: Mapping[str, str]) -> str:
    """Return TF_CONFIG for a pod of a JobSet.

    Args:
        environment: The pod's variables.

    Returns:
        JSON in which all pods are workers; empty for a single pod.

    Raises:
        UserError: If a variable is missing or not a whole number, or the index is out of range.

    Example:
        >>> tf_config({"KFP_TABULAR_WORKERS": "1"})
        ''
    """
    workers = _whole(environment, WORKERS_VARIABLE, "the TrainJob's spec.trainer.env", least=1)
    if workers == 1:
        return ""
    index = _whole(environment, INDEX_VARIABLE, "the Job controller, in an Indexed Job", least=0)
    if index >= workers:
        raise UserError(
            f"{INDEX_VARIABLE} is {index}, but {WORKERS_VARIABLE} is {workers}; it must be the "
            "TrainJob's numNodes."
        )
    jobset = _given(environment, JOBSET_VARIABLE, "the ClusterTrainingRuntime")
    hosts = [f"{jobset}-{CONTAINER}-0-{number}.{jobset}:{PORT}" for number in range(workers)]
    return json.dumps(
        {
            "cluster": {replica_role.WORKER: hosts},
            "task": {"type": replica_role.WORKER, "index": index},
        }
    )


def _whole(environment: Mapping[str, str], name: str, source: str, least: int) -> int:
    text = _given(environment, name, source)
    if not text.isdecimal() or int(text) < least:
        raise UserError(f"{name}: expected a whole number of at least {least}, found {text!r}.")
    return int(text)


def _given(environment: Mapping[str, str], name: str, source: str) -> str:
    text = environment.get(name, "").strip()
    if not text:
        raise UserError(f"{name} is not set in this pod; it comes from {source}.")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Set TF_CONFIG and run the worker program.

    An existing TF_CONFIG is kept.

    Args:
        arguments: The worker program's flags; those of the command line if None.
    """
    program.set_up_logging()
    with reported_to_user():
        if not os.environ.get(replica_role.VARIABLE, "").strip():
            found = tf_config(os.environ)
            if found:
                os.environ[replica_role.VARIABLE] = found
                _logger.info("%s: %s", replica_role.VARIABLE, found)
    program.main(arguments)


if __name__ == "__main__":
    main()
