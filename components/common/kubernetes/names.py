"""Names and labels derived from what a resource is for, so that a retry finds it again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "kfp-tabular"
RUN_LABEL = "kfp-tabular.dev/run-id"
TASK_LABEL = "kfp-tabular.dev/task"
DIGEST_ANNOTATION = "kfp-tabular.dev/spec-digest"

_LABEL_LIMIT = 63
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH_CHARACTERS = 10


@dataclass(frozen=True)
class Identity:
    """What a resource is for. Every attempt of a task has the same identity.

    Attributes:
        run_id: The pipeline run.
        task: The task or component, such as `train-model`.
        digest: The digest of the task's inputs, from `input_digest`. It tells apart two
            iterations of a loop, which share run and task.
    """

    run_id: str
    task: str
    digest: str

    def name(self, kind: Kind, limit: int = 0) -> str:
        """Return the name of the resource: `<task>-<10 hexadecimal digits>`, a DNS-1035 label.

        Args:
            kind: The kind of resource; its `name_limit` applies.
            limit: A lower limit in characters, for a resource whose name is the prefix of other
                names; 0 for the limit of the kind.

        Example:
            >>> from kfp_tabular.components.common.kubernetes.client.resource_kinds import TFJOB
            >>> Identity("run-1", "train-model", input_digest("gs://bucket/data")).name(TFJOB)
            'train-model-5047d9c566'
        """
        text = "\0".join((self.run_id, self.task, self.digest))
        unique = hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
        room = min(kind.name_limit, limit or kind.name_limit, _LABEL_LIMIT) - len(unique) - 1
        return f"{_slug(self.task)[:room].rstrip('-')}-{unique}"

    def labels(self) -> dict[str, str]:
        """Return the labels by which the resources of a run and of a task are found."""
        labels = {MANAGED_BY_LABEL: MANAGED_BY, TASK_LABEL: _label_value(self.task)}
        if self.run_id:
            labels[RUN_LABEL] = _label_value(self.run_id)
        return labels


def run_of(uri: str) -> str:
    """Return the id of the run that made an artifact, read from the artifact's URI.

    KFP writes `<pipeline root>/<pipeline>/<run id>/<task>/<execution id>/<name>`
    (`backend/src/v2/metadata/client.go`, `GenerateOutputURI`). An id passed as a
    parameter would be part of the cache key, so no task would ever be found in the cache.

    Args:
        uri: The URI of an output of the task.

    Returns:
        The id; empty if the URI holds none, as outside KFP.

    Example:
        >>> run = "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11"
        >>> run_of(f"minio://mlpipeline/v2/artifacts/training/{run}/train-model/1/model") == run
        True
    """
    found = (part for part in uri.split("/") if _UUID.fullmatch(part))
    return next(found, "")


def input_digest(*parts: Any) -> str:
    """Return the SHA-256 of JSON-serializable values, in hexadecimal digits.

    Args:
        parts: The inputs of a task in a fixed order: URIs and settings, nothing that differs
            between attempts.

    Example:
        >>> first = input_digest("gs://bucket/data", {"epochs": 3, "seed": 1})
        >>> first == input_digest("gs://bucket/data", {"seed": 1, "epochs": 3})
        True
        >>> first == input_digest("gs://bucket/data", {"seed": 1, "epochs": 4})
        False
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def spec_digest(resource: Mapping[str, Any]) -> str:
    """Return the digest of a resource's API version, kind and spec.

    An annotation keeps it from creation on. The API server and webhooks fill in defaults, so a
    spec that is read back cannot be compared with the requested one.

    Args:
        resource: The requested resource.

    Example:
        >>> job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"suspend": True}}
        >>> spec_digest(job) == spec_digest({**job, "status": {"active": 1}})
        True
    """
    return input_digest(*(resource.get(field) for field in ("apiVersion", "kind", "spec")))


def _slug(text: str) -> str:
    """Return text reduced to a DNS-1035 label, which starts with a letter."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return slug if slug[:1].isalpha() else f"task-{slug}".rstrip("-")


def _label_value(text: str) -> str:
    """Return text reduced to the characters of a label value."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:_LABEL_LIMIT].strip("._-")
