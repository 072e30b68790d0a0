"""The pods of a training job, as plain data.

They meet the "restricted" Pod Security Standard: no root user, no capabilities, a read-only root
file system with two writable directories. They have no token for the Kubernetes API, which the
worker program never calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.pods import pod_settings
from kfp_tabular.components.common.pods.security import container_security
from kfp_tabular.components.common.pods.variables import literal
from kfp_tabular.components.common.training_job.job_settings import (
    CREDENTIALS_PATH,
    SHARED_MEMORY_PATH,
    TMP_PATH,
    WORK_PATH,
    JobSettings,
    ObjectStore,
)
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec

PORT = 2222
"""The port on which workers listen for each other; the default of TensorFlow and the operator."""

KUBEFLOW_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - a Secret's name, not its content
"""The Secret of Kubeflow Pipelines' object store, in every namespace."""

WORKERS = ("chief", "workers")
"""The roles that train, and therefore get the GPUs."""

_VOLUME_GOOGLE = "google-credentials"


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
        "securityContext": pod_security(settings),
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
    settings = spec.settings
    found: dict[str, dict[str, Any]] = {}

    def plain(name: str, value: str) -> None:
        found[name] = {"name": name, "value": literal(value)}

    plain("HOME", WORK_PATH)
    plain("TMPDIR", WORK_PATH)
    plain("PYTHONUNBUFFERED", "1")
    for entry in _store_environment(settings.object_store, spec.schemes()):
        found[entry["name"]] = entry
    for secret in settings.secrets:
        for key, name in secret.env.items():
            found[name] = _from_secret(name, secret.name, key, optional=secret.optional)
    for name, value in settings.env.items():
        plain(name, value)
    return list(found.values())


def volumes(spec: TrainingJobSpec) -> list[dict[str, Any]]:
    """Return the pod's volumes.

    Example:
        >>> volumes(TrainingJobSpec((), JobSettings(scratch="20Gi")))
        [{'name': 'tmp', 'emptyDir': {}}, {'name': 'work', 'emptyDir': {'sizeLimit': '20Gi'}}]
    """
    settings = spec.settings
    found: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "work", "emptyDir": {"sizeLimit": settings.scratch} if settings.scratch else {}},
    ]
    if settings.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": settings.shared_memory}
        found.append({"name": "shared-memory", "emptyDir": memory})
    for index, claim in enumerate(dict.fromkeys(volume.claim for volume in settings.volumes)):
        source = {"claimName": claim}
        found.append({"name": f"claim-{index}", "persistentVolumeClaim": source})
    for index, secret in enumerate(settings.secrets):
        if secret.mount_path:
            source_secret = {"secretName": secret.name, "optional": secret.optional}
            found.append({"name": f"secret-{index}", "secret": source_secret})
    if _google_secret(spec):
        found.append({"name": _VOLUME_GOOGLE, "secret": {"secretName": _google_secret(spec)}})
    return found


def mounts(spec: TrainingJobSpec) -> list[dict[str, Any]]:
    """Return the container's volume mounts.

    Example:
        >>> mounts(TrainingJobSpec((), JobSettings(shared_memory="1Gi")))[-1]
        {'name': 'shared-memory', 'mountPath': '/dev/shm'}
    """
    settings = spec.settings
    found: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": TMP_PATH},
        {"name": "work", "mountPath": WORK_PATH},
    ]
    if settings.shared_memory:
        found.append({"name": "shared-memory", "mountPath": SHARED_MEMORY_PATH})
    claims = list(dict.fromkeys(volume.claim for volume in settings.volumes))
    for volume in settings.volumes:
        mount: dict[str, Any] = {
            "name": f"claim-{claims.index(volume.claim)}",
            "mountPath": volume.mount_path,
        }
        if volume.sub_path:
            mount["subPath"] = volume.sub_path
        if volume.read_only:
            mount["readOnly"] = True
        found.append(mount)
    for index, secret in enumerate(settings.secrets):
        if secret.mount_path:
            found.append(
                {"name": f"secret-{index}", "mountPath": secret.mount_path, "readOnly": True}
            )
    if _google_secret(spec):
        found.append({"name": _VOLUME_GOOGLE, "mountPath": CREDENTIALS_PATH, "readOnly": True})
    return found


def pod_security(settings: JobSettings) -> dict[str, Any]:
    """Return the pod's security context.

    Example:
        >>> pod_security(JobSettings(run_as_user=1000))
        {'runAsNonRoot': True, 'seccompProfile': {'type': 'RuntimeDefault'}, 'runAsUser': 1000}
    """
    context: dict[str, Any] = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if settings.run_as_user is not None:
        context["runAsUser"] = settings.run_as_user
    if settings.fs_group is not None:
        context["fsGroup"] = settings.fs_group
        # Otherwise Kubernetes walks all files of a volume before each start.
        context["fsGroupChangePolicy"] = "OnRootMismatch"
    return context


def _store_environment(store: ObjectStore, schemes: frozenset[str]) -> list[dict[str, Any]]:
    """Return the variables that `common.storage` reads, for the stores in use."""
    found = []
    for scheme, prefix in (("minio", "MINIO"), ("s3", "AWS")):
        if scheme not in schemes:
            continue
        secret = store.secret or (KUBEFLOW_SECRET if scheme == "minio" else "")
        if store.endpoint:
            name = "MINIO_ENDPOINT" if scheme == "minio" else "AWS_ENDPOINT_URL_S3"
            found.append({"name": name, "value": store.endpoint})
        if secret:
            access, key = f"{prefix}_ACCESS_KEY", f"{prefix}_SECRET_KEY"
            if scheme == "s3":
                access, key = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
            found.append(_from_secret(access, secret, store.access_key))
            found.append(_from_secret(key, secret, store.secret_key))
    if found and store.region:
        found.append({"name": "AWS_REGION", "value": store.region})
    if "gs" in schemes and store.secret:
        path = f"{CREDENTIALS_PATH}/{store.google_key}"
        found.append({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": path})
    return found


def _google_secret(spec: TrainingJobSpec) -> str:
    return spec.settings.object_store.secret if "gs" in spec.schemes() else ""


def _from_secret(name: str, secret: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
