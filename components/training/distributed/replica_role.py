"""A process's role in its job, read from TF_CONFIG.

The Training Operator writes TF_CONFIG for a TFJob of more than one pod (branch release-1.9,
`pkg/controller.v1/tensorflow/tensorflow.go`): all replicas by role in lower case, the evaluator
among them. A TFJob of one pod has no TF_CONFIG. `kfp_tabular.components.training.rendezvous`
writes the same for a TrainJob, and `cluster.py` for processes of one machine.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.errors import UserError

VARIABLE = "TF_CONFIG"

CHIEF = "chief"
WORKER = "worker"
SERVER = "ps"
EVALUATOR = "evaluator"

_MASTER = "master"
"""TensorFlow 1's name for the chief, which a TFJob may still use."""

_ROLES = (CHIEF, WORKER, SERVER, EVALUATOR)


@dataclass(frozen=True)
class ReplicaRole:
    """A process's role in its job.

    Attributes:
        worker: Index among the processes that train, the chief first; 0 for other roles.
        workers: Number of processes that train.
        is_chief: Whether this process writes the model, the logs and the checkpoints.
        role: `chief`, `worker`, `ps` or `evaluator`.
        index: Index among the processes of the same role.
        cluster: Addresses by role, without the evaluator, which is not part of the cluster; empty
            for a single process.
        has_evaluator: Whether the job has an evaluator.
    """

    worker: int
    workers: int
    is_chief: bool
    role: str = WORKER
    index: int = 0
    cluster: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    has_evaluator: bool = False

    @property
    def has_parameter_servers(self) -> bool:
        """Whether the job has parameter servers."""
        return SERVER in self.cluster

    @property
    def address(self) -> str:
        """This process's address, `host:port`; empty for a single process."""
        return self.cluster[self.role][self.index] if self.role in self.cluster else ""

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of the cluster's other processes."""
        everyone = (address for addresses in self.cluster.values() for address in addresses)
        return tuple(address for address in everyone if address != self.address)


ALONE = ReplicaRole(0, 1, is_chief=True)


def from_environment() -> ReplicaRole:
    """Return this process's role, from TF_CONFIG in the environment.

    Raises:
        UserError: As `parse_tf_config`.
    """
    return parse_tf_config(os.environ.get(VARIABLE, ""))


def parse_tf_config(tf_config: str) -> ReplicaRole:
    """Return a process's role from a value of TF_CONFIG.

    The chief is the task of that role, or worker 0 if there is none.

    Args:
        tf_config: The variable's value; empty for a single process.

    Raises:
        UserError: If it is not JSON, its task is not in its cluster, it has parameter servers but
            no chief or no workers, or it lists only this process (`enableDynamicWorker`).

    Example:
        >>> cluster = '{"chief": ["a:2222"], "worker": ["b:2222"]}'
        >>> task = '{"type": "worker", "index": 0}'
        >>> role = parse_tf_config(f'{{"cluster": {cluster}, "task": {task}}}')
        >>> role.worker, role.workers, role.is_chief
        (1, 2, False)
    """
    if not tf_config.strip():
        return ALONE
    try:
        config = json.loads(tf_config)
        task = config.get("task") or {}
        given = _cluster(config.get("cluster") or {})
        role, index = task.get("type"), task.get("index")
    except (json.JSONDecodeError, AttributeError, TypeError) as error:
        raise UserError(f"{VARIABLE} is not a JSON object of cluster and task: {error}") from error
    if sum(map(len, given.values())) <= 1:
        return ALONE
    role = CHIEF if role == _MASTER else str(role)
    if type(index) is not int or not 0 <= index < len(given.get(role, ())):
        found = ", ".join(f"{len(addresses)} {name}" for name, addresses in given.items())
        raise UserError(
            f"{VARIABLE}'s task is {role!r} number {index!r}, which its cluster of {found} does "
            "not have."
        )
    return _role_in(given, role, index)


def _cluster(entries: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, addresses in entries.items():
        role = CHIEF if name == _MASTER else name
        if isinstance(addresses, Mapping):
            raise UserError(
                f"{VARIABLE} lists only this process for the role {name!r}, so it cannot reach the "
                "others. Set the TFJob's enableDynamicWorker to false."
            )
        if role not in _ROLES:
            raise UserError(f"{VARIABLE} names the role {name!r}; expected {', '.join(_ROLES)}.")
        if role in found and addresses:
            raise UserError(f"{VARIABLE} names both a chief and a master; give one of them.")
        if addresses:
            found[role] = tuple(map(str, addresses))
    if len(found.get(CHIEF, ())) > 1:
        raise UserError(f"{VARIABLE} names {len(found[CHIEF])} chiefs; a job has one.")
    return found


def _role_in(given: Mapping[str, tuple[str, ...]], role: str, index: int) -> ReplicaRole:
    cluster = {name: addresses for name, addresses in given.items() if name != EVALUATOR}
    evaluated = EVALUATOR in given
    if not cluster.get(CHIEF) and not cluster.get(WORKER):
        raise UserError(f"{VARIABLE} names no process that trains; add a chief or workers.")
    if SERVER in cluster:
        lacking = [name for name in (CHIEF, WORKER) if name not in cluster]
        if lacking:
            raise UserError(
                f"{VARIABLE} names parameter servers but no {lacking[0]}; they need a chief, which "
                "coordinates, and at least one worker."
            )
    chiefs = len(cluster.get(CHIEF, ()))
    servers = len(cluster.get(SERVER, ()))
    workers = sum(map(len, cluster.values())) - servers
    if servers:
        # The chief distributes work to the others and takes no steps itself.
        workers -= 1
    if workers + servers <= 1:
        cluster = {}
    if role in (SERVER, EVALUATOR) or servers:
        return ReplicaRole(0, workers, role == CHIEF, role, index, cluster, evaluated)
    worker = index + (chiefs if role == WORKER else 0)
    return ReplicaRole(worker, workers, worker == 0, role, index, cluster, evaluated)
