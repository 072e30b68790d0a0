"""The NetworkPolicy of a training job: its workers reach each other, and no other pod does."""

from typing import Any

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.resource_kinds import Object
from kfp_tabular.components.common.kubernetes.jobs import network_policies
from kfp_tabular.components.common.kubernetes.jobs.network_policies import JobNetworkPolicies
from kfp_tabular.components.common.training_job import pod_template
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_settings import JobSettings

NCCL_PORTS = (32768, 65535)
"""NCCL, between GPUs, listens on ports of the kernel's ephemeral range."""


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
    ports = [(pod_template.PORT, pod_template.PORT)]
    if _uses_gpus(settings):
        ports.append(NCCL_PORTS)
    return network_policies.build({kind.name_label: name}, ports, name, owner)


def _uses_gpus(settings: JobSettings) -> bool:
    roles = settings.roles
    each = (roles.chief, roles.workers, roles.parameter_servers, roles.evaluator)
    return bool(settings.gpus or any(role.gpus for role in each))


class NetworkPolicies(JobNetworkPolicies):
    """Makes the policies of the jobs of one task, each once.

    Args:
        api: Access to the cluster.
        kind: The kind of the jobs.
        settings: Their settings; `network_policy` decides what happens where the account may not
            create policies.
    """

    def __init__(self, api: Api, kind: JobKind, settings: JobSettings) -> None:
        super().__init__(
            api,
            lambda name, owner: build(kind, name, owner, settings),
            settings.network_policy if has_peers(settings) else network_policies.NONE,
            "job.network_policy",
            f"port {pod_template.PORT}",
        )
