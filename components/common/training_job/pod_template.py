"""The pods of a training job, as plain data.

They meet the "restricted" Pod Security Standard: no root user, no capabilities, a read-only root
file system with two writable directories. They have no token for the Kubernetes API, which the
worker program never calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.pods import job_pods, pod_settings
from kfp_tabular.components.common.pods.job_pods import WORK_PATH
from kfp_tabular.components.common.pods.security import container_security
from kfp_tabular.components.common.pods.variables import literal
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec

PORT = 2222
"""The port on which workers listen for each other; the default of TensorFlow and the operator."""

WORKERS = ("chief", "workers")
"""The roles that train, and therefore get the GPUs."""


def pod_spec(
    spec: TrainingJobSpec, role: str, container: str, ports: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the specification of a role's pods, without a restart policy.

    Args:
        spec: The job.
        role: An attribute of `job_settings.Roles`.
        container: The name of the only container.
        ports: The container's ports.

    Example:
        >>> spec = pod_spec(TrainingJobSpec(["--epochs=3"]), "chief", "tensorflow")
        >>> spec["containers"][0]["args"], spec["automountServiceAccountToken"]
        (['--epochs=3'], False)
    """
    settings = spec.settings
    body: dict[str, Any] = {
        "containers": [
            {
                "name": container,
                "image": image(settings),
                "command": command(spec.module),
                "args": [literal(argument) for argument in spec.arguments],
                "workingDir": WORK_PATH,
                "env": environment(spec),
                "resources": resources(settings, role),
                "volumeMounts": mounts(spec),
                "securityContext": container_security(),
            }
        ],
        "volumes": volumes(spec),
        "securityContext": job_pods.pod_security(settings),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": settings.termination_grace_seconds,
    }
    if ports:
        body["containers"][0]["ports"] = [dict(port) for port in ports]
    if settings.image_pull_policy:
        body["containers"][0]["imagePullPolicy"] = settings.image_pull_policy
    if settings.priority_class:
        body["priorityClassName"] = settings.priority_class
    return {**body, **placement(settings, role)}


def placement(settings: JobSettings, role: str) -> dict[str, Any]:
    """Return the fields of a pod about where it runs and under which account.

    Example:
        >>> settings = JobSettings(service_account="trainer", node_selector={"disk": "ssd"})
        >>> placement(settings, "workers")
        {'serviceAccountName': 'trainer', 'nodeSelector': {'disk': 'ssd'}}
    """
    own = settings.role(role)
    return pod_settings.placement(settings, own.node_selector, own.tolerations)


def image(settings: JobSettings) -> str:
    """Return the pods' image.

    Example:
        >>> image(JobSettings(image="registry.example.com/train:1.0"))
        'registry.example.com/train:1.0'
        >>> image(JobSettings()) == images.TENSORFLOW
        True
    """
    return settings.image or images.TENSORFLOW


def command(module: str) -> list[str]:
    """Return the container's command, which runs a Python module of this package.

    Example:
        >>> command("kfp_tabular.components.training.worker")
        ['python', '-m', 'kfp_tabular.components.training.worker']
    """
    return ["python", "-m", module]


def resources(settings: JobSettings, role: str) -> dict[str, Any]:
    """Return the resource requests and limits of a role's container.

    Requests equal limits: such pods are evicted last and pass quotas on either one, and no worker
    is throttled, which would slow down all the others.

    Example:
        >>> resources(JobSettings(cpu="2", memory="4Gi", gpus=1), "chief")["limits"]
        {'cpu': '2', 'memory': '4Gi', 'nvidia.com/gpu': '1'}
        >>> resources(JobSettings(gpus=1), "parameter_servers")["limits"]
        {'cpu': '2', 'memory': '4Gi'}
    """
    own = settings.role(role)
    gpus = (settings.gpus if role in WORKERS else 0) if own.gpus is None else own.gpus
    amounts = {
        "cpu": settings.cpu if own.cpu is None else own.cpu,
        "memory": settings.memory if own.memory is None else own.memory,
    }
    if gpus:
        amounts[settings.gpu_resource] = str(gpus)
    present = {name: value for name, value in amounts.items() if value}
    return {"requests": present, "limits": dict(present)}


def environment(spec: TrainingJobSpec) -> list[dict[str, Any]]:
    """Return the container's environment variables; those of the settings win over the defaults.

    Example:
        >>> settings = JobSettings(env={"HOME": "/data", "GREETING": "$(USER)"})
        >>> {entry["name"]: entry["value"] for entry in environment(TrainingJobSpec((), settings))}
        {'HOME': '/data', 'TMPDIR': '/work', 'PYTHONUNBUFFERED': '1', 'GREETING': '$$(USER)'}
    """
    return job_pods.environment(spec.settings, spec.schemes())


def volumes(spec: TrainingJobSpec) -> list[dict[str, Any]]:
    """Return the pod's volumes.

    Example:
        >>> volumes(TrainingJobSpec((), JobSettings(scratch="20Gi")))
        [{'name': 'tmp', 'emptyDir': {}}, {'name': 'work', 'emptyDir': {'sizeLimit': '20Gi'}}]
    """
    return job_pods.volumes(spec.settings, spec.schemes())


def mounts(spec: TrainingJobSpec) -> list[dict[str, Any]]:
    """Return the container's volume mounts.

    Example:
        >>> mounts(TrainingJobSpec((), JobSettings(shared_memory="1Gi")))[-1]
        {'name': 'shared-memory', 'mountPath': '/dev/shm'}
    """
    return job_pods.mounts(spec.settings, spec.schemes())
