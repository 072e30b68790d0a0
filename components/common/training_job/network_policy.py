"""The NetworkPolicy of a job: its pods reach each other, and no other pod reaches them.

A policy in a manifest cannot say "pods of the same job": a selector compares a label with a fixed
value. So the task that starts a job makes a policy with the job's name in it. The job owns it, so
both are deleted together.
"""

import logging
from typing import Any

from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    RejectedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import NETWORK_POLICY, Object
from kfp_tabular.components.common.training_job import pod_template
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_settings import (
    NO_NETWORK_POLICY,
    REQUIRED_NETWORK_POLICY,
    JobSettings,
)

NCCL_PORTS = (32768, 65535)
"""NCCL, between GPUs, listens on ports of the kernel's ephemeral range."""

_UID_CHARACTERS = 8
_UNREACHABLE_SECONDS = 20

_logger = logging.getLogger(__name__)


def has_peers(settings: JobSettings) -> bool:
    """Whether a job has several pods that connect to each other.

    Example:
        >>> has_peers(JobSettings(workers=2)), has_peers(JobSettings(evaluator=True))
        (True, False)
    """
    return settings.workers + settings.parameter_servers > 1


def build(kind: JobKind, name: str, owner: Object, settings: JobSettings) -> dict[str, Any]:
    """Return the policy of a job.

    Args:
        kind: The kind of job.
        name: The job's name, which its pods have as a label.
        owner: The object to delete the policy with: the job, or the Trial that it belongs to.
        settings: The job's settings.

    Example:
        >>> from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
        >>> owner = {"apiVersion": "kubeflow.org/v1", "kind": "TFJob"}
        >>> owner["metadata"] = {"name": "taxi", "uid": "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11"}
        >>> policy = build(JOB_KINDS["tfjob"], "taxi", owner, JobSettings())
        >>> policy["metadata"]["name"], policy["spec"]["podSelector"]["matchLabels"]
        ('taxi-0b6a3c1e', {'training.kubeflow.org/job-name': 'taxi',
        'app.kubernetes.io/managed-by': 'kfp-tabular'})
    """
    metadata = owner["metadata"]
    pods = {"matchLabels": {kind.name_label: name, names.MANAGED_BY_LABEL: names.MANAGED_BY}}
    ports: list[dict[str, Any]] = [{"protocol": "TCP", "port": pod_template.PORT}]
    if _uses_gpus(settings):
        first, last = NCCL_PORTS
        ports.append({"protocol": "TCP", "port": first, "endPort": last})
    policy: dict[str, Any] = {
        "apiVersion": NETWORK_POLICY.api_version,
        "kind": NETWORK_POLICY.kind,
        "metadata": {
            # With the owner's uid: a job that is made again gets a policy of its own, whenever the
            # earlier one is collected.
            "name": f"{name}-{metadata['uid'][:_UID_CHARACTERS]}",
            "labels": {**(metadata.get("labels") or {}), names.MANAGED_BY_LABEL: names.MANAGED_BY},
            "ownerReferences": [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                }
            ],
        },
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": pods}], "ports": ports}],
        },
    }
    if metadata.get("namespace"):
        policy["metadata"]["namespace"] = metadata["namespace"]
    return policy


def _uses_gpus(settings: JobSettings) -> bool:
    roles = settings.roles
    each = (roles.chief, roles.workers, roles.parameter_servers, roles.evaluator)
    return bool(settings.gpus or any(role.gpus for role in each))


class NetworkPolicies:
    """Makes the policies of the jobs of one task, each once.

    Args:
        api: Access to the cluster.
        kind: The kind of the jobs.
        settings: Their settings; `network_policy` decides what happens where the account may not
            create policies.
    """

    def __init__(self, api: Api, kind: JobKind, settings: JobSettings) -> None:
        self._api = api.bound(unreachable_seconds=_UNREACHABLE_SECONDS)
        self._kind = kind
        self._settings = settings
        self._made: set[str] = set()
        self._wanted = settings.network_policy != NO_NETWORK_POLICY and has_peers(settings)

    @property
    def wanted(self) -> bool:
        """Whether jobs still get policies."""
        return self._wanted

    def add(self, owner: Object, name: str = "") -> None:
        """Make the policy of a job, unless it exists.

        Args:
            owner: The object to delete the policy with.
            name: The job's name; empty for the owner's.

        Raises:
            ForbiddenError: The account may not, and a policy is required.
            RejectedError: The cluster refuses it, and a policy is required.
            ApiError: The request failed otherwise, and a policy is required.
        """
        metadata = owner["metadata"]
        if not self._wanted or metadata["uid"] in self._made:
            return
        name = name or str(metadata["name"])
        body = build(self._kind, name, owner, self._settings)
        try:
            self._api.create(NETWORK_POLICY, body, str(metadata.get("namespace") or ""))
        except ConflictError:
            # Made by an earlier attempt of this task: the name holds the owner's uid.
            self._made.add(metadata["uid"])
        except (ForbiddenError, RejectedError) as error:
            if self._settings.network_policy == REQUIRED_NETWORK_POLICY:
                raise
            self._wanted = False
            _logger.warning(
                "No NetworkPolicy for the job: port %d of its pods is as open as the namespace "
                "leaves it. (%s) job.network_policy: required ends the task here; none does not "
                "ask.",
                pod_template.PORT,
                error,
            )
        except ApiError as error:
            if self._settings.network_policy == REQUIRED_NETWORK_POLICY:
                raise
            _logger.warning("The NetworkPolicy of %s is not made yet: %s", name, error)
        else:
            self._made.add(metadata["uid"])
            _logger.info("NetworkPolicy %s created.", body["metadata"]["name"])
