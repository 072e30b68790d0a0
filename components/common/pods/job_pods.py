"""The pods of jobs, whatever they run: settings that all jobs have, and what follows for a pod.

They meet the "restricted" Pod Security Standard: no root user, no capabilities, a read-only root
file system with two writable directories.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked, mapping
from kfp_tabular.components.common.kubernetes.jobs import network_policies
from kfp_tabular.components.common.pods.pod_settings import WorkloadSettings, check_image
from kfp_tabular.components.common.pods.quantities import check_size
from kfp_tabular.components.common.pods.secrets import Secret, check_secret_key
from kfp_tabular.components.common.pods.variables import check_variables, literal
from kfp_tabular.components.common.pods.volumes import JobVolume

WORK_PATH = "/work"
"""The scratch directory of every pod: the working directory, HOME and TMPDIR."""

TMP_PATH = "/tmp"  # noqa: S108 - a mount in the pod, not a file in a shared directory

SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108 - where the kernel expects it

CREDENTIALS_PATH = "/var/run/kfp-tabular/google"
"""Where the key of a Google service account is mounted."""

KUBEFLOW_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - a Secret's name, not its content
"""The Secret of Kubeflow Pipelines' object store, in every namespace."""

SIDECAR_OFF = {"sidecar.istio.io/inject": "false"}
"""Keeps Istio's proxy out of the pods, as a label (newer Istio) and an annotation (older).

The proxy never exits by itself, so the job would not end. Nor do the protocols between the pods of
a job benefit from it.
"""

_VOLUME_GOOGLE = "google-credentials"
_URI = re.compile(r"(?:^|[=\s\"'])(gs|s3|minio)://")


def _url(value: str) -> None:
    if not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("expected an address such as http://minio-service.kubeflow:9000")


@dataclass(frozen=True)
class ObjectStore:
    """How the pods access the object store that holds the artifacts.

    Attributes:
        endpoint: Address of an S3 store. Empty: Kubeflow's own for `minio://`, Amazon's for
            `s3://`.
        region: The bucket's region.
        secret: The Secret with the store's keys. Empty: `mlpipeline-minio-artifact` for `minio://`,
            which Kubeflow Pipelines creates in every namespace; none for `s3://` and `gs://`, where
            the pods' service account then needs a role (workload identity).
        access_key: The Secret's key with the access key.
        secret_key: The Secret's key with the secret key.
        google_key: The Secret's key with the JSON key of a Google service account, for `gs://`.
    """

    endpoint: str = checked(_url)
    region: str = ""
    secret: str = checked(documents.resource_name)
    access_key: str = checked(check_secret_key, "accesskey")
    secret_key: str = checked(check_secret_key, "secretkey")
    google_key: str = checked(check_secret_key, "key.json")


@dataclass(frozen=True)
class JobPodSettings(WorkloadSettings):
    """What every job requests from the cluster, in addition to `WorkloadSettings`.

    Labels, such as that of a Kueue queue, and annotations apply to the job and its pods.

    Attributes:
        image: The image of every pod. Empty: one that fits the task that starts the job.
        env: Environment variables. Use `secrets` for secrets: these values are part of the
            resource.
        secrets: Kubernetes Secrets to use.
        volumes: PersistentVolumeClaims to mount.
        object_store: How to access the object store that holds the artifacts.
        shared_memory: Size of `/dev/shm`, which counts as memory; empty for the container
            runtime's 64 MB.
        scratch: Size limit of the pod's scratch directory, where inputs are copied to; empty for
            no limit but the node's disk.
        run_as_user: The pods' user id, above 0; None for the image's user.
        fs_group: The group that owns mounted volumes; None for none. Needed if the image's user
            may not write to a volume.
        termination_grace_seconds: Time that a pod gets to end by itself before it is killed.
        ttl_seconds: How long the finished job is kept; None for as long as the run.
        network_policy: Whether the task makes a NetworkPolicy for each job of several pods, by
            which they reach each other: `auto`: where its account may; `required`: else it fails;
            `none`: never.
        suspend: Whether the job starts suspended, to be resumed by Kueue or by hand.
        deadline_seconds: How long the task waits before it cancels the job.
        grace_seconds: How long a pod may stay unschedulable, or its image unavailable, before the
            task fails.
    """

    image: str = checked(check_image)
    env: Mapping[str, str] = mapping(check_variables)
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[JobVolume, ...] = ()
    object_store: ObjectStore = ObjectStore()
    shared_memory: str = checked(check_size)
    scratch: str = checked(check_size)
    run_as_user: int | None = checked(between(1), None)
    fs_group: int | None = checked(between(0), None)
    termination_grace_seconds: int = checked(between(0, 3600), 60)
    ttl_seconds: int | None = checked(between(0), None)
    network_policy: str = checked(
        documents.one_of(
            network_policies.WHERE_ALLOWED, network_policies.REQUIRED, network_policies.NONE
        ),
        network_policies.WHERE_ALLOWED,
    )
    suspend: bool = False
    deadline_seconds: int = checked(between(1), 24 * 3600)
    grace_seconds: int = checked(between(0), 300)

    def __post_init__(self) -> None:
        self._require_separate_mounts()
        variables = (
            *self.env,
            *(variable for secret in self.secrets for variable in secret.env.values()),
        )
        documents.distinct(variables, "environment variable")
        self.check_variables(dict.fromkeys(variables, ""))

    @classmethod
    def check_variables(cls, values: Mapping[str, str]) -> None:
        """Check the names of variables.

        Raises:
            ValueError: For the first that does not fit, or that the job's controller sets.
        """
        check_variables(values)

    def _require_separate_mounts(self) -> None:
        paths = (
            *(volume.mount_path for volume in self.volumes),
            *(secret.mount_path for secret in self.secrets if secret.mount_path),
        )
        normal = tuple(path.rstrip("/") for path in paths)
        documents.distinct(normal, "mount_path")
        for path in normal:
            if path in (WORK_PATH, TMP_PATH, SHARED_MEMORY_PATH, CREDENTIALS_PATH):
                raise ValueError(f"mount_path {path} is used by the pod itself; choose another")


def schemes(texts: Iterable[str]) -> frozenset[str]:
    """Return the URI schemes of the object stores that texts refer to.

    Example:
        >>> sorted(schemes(["--output=gs://bucket/model", '{"uri": "s3://bucket/data"}']))
        ['gs', 's3']
    """
    return frozenset(match.group(1) for text in texts for match in _URI.finditer(text))


def environment(settings: JobPodSettings, stores: Collection[str]) -> list[dict[str, Any]]:
    """Return the container's environment variables; those of the settings win over the defaults.

    Args:
        settings: The job's settings.
        stores: The schemes of the object stores that the pod uses.
    """
    found: dict[str, dict[str, Any]] = {}

    def plain(name: str, value: str) -> None:
        found[name] = {"name": name, "value": literal(value)}

    plain("HOME", WORK_PATH)
    plain("TMPDIR", WORK_PATH)
    plain("PYTHONUNBUFFERED", "1")
    for entry in _store_environment(settings.object_store, stores):
        found[entry["name"]] = entry
    for secret in settings.secrets:
        for key, name in secret.env.items():
            found[name] = _from_secret(name, secret.name, key, optional=secret.optional)
    for name, value in settings.env.items():
        plain(name, value)
    return list(found.values())


def volumes(settings: JobPodSettings, stores: Collection[str]) -> list[dict[str, Any]]:
    """Return the pod's volumes.

    Args:
        settings: The job's settings.
        stores: The schemes of the object stores that the pod uses.
    """
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
    if google := _google_secret(settings, stores):
        found.append({"name": _VOLUME_GOOGLE, "secret": {"secretName": google}})
    return found


def mounts(settings: JobPodSettings, stores: Collection[str]) -> list[dict[str, Any]]:
    """Return the container's volume mounts.

    Args:
        settings: The job's settings.
        stores: The schemes of the object stores that the pod uses.
    """
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
    if _google_secret(settings, stores):
        found.append({"name": _VOLUME_GOOGLE, "mountPath": CREDENTIALS_PATH, "readOnly": True})
    return found


def pod_security(settings: JobPodSettings) -> dict[str, Any]:
    """Return the pod's security context.

    Example:
        >>> class Settings(JobPodSettings):
        ...     DOCUMENT = "job"
        >>> pod_security(Settings(run_as_user=1000))
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


def _store_environment(store: ObjectStore, stores: Collection[str]) -> list[dict[str, Any]]:
    """Return the variables that `common.storage` reads, for the stores in use."""
    found = []
    for scheme, prefix in (("minio", "MINIO"), ("s3", "AWS")):
        if scheme not in stores:
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
    if "gs" in stores and store.secret:
        path = f"{CREDENTIALS_PATH}/{store.google_key}"
        found.append({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": path})
    return found


def _google_secret(settings: JobPodSettings, stores: Collection[str]) -> str:
    return settings.object_store.secret if "gs" in stores else ""


def _from_secret(name: str, secret: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
