"""Names and labels that follow from what a resource is for, so that a retry finds it again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import Kind

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
    """What a resource is for; the same in every attempt of a task.

    Attributes:
        run_id: The pipeline run.
        task: The task or component, such as `train-model`.
        digest: Of what the task works on, from `input_digest`: two iterations of a loop share
            the rest.
    """

    run_id: str
    task: str
    digest: str

    def name(self, kind: Kind, limit: int = 0) -> str:
        """Gives the name of the resource: `<task>-<10 hexadecimal digits>`, a DNS-1035 label.

        Args:
            kind: Its kind, whose limit holds.
            limit: A lower limit in characters, where more is named after it than usual; 0 for
                the kind's own.
        """
        text = "\0".join((self.run_id, self.task, self.digest))
        unique = hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
        room = min(kind.name_limit, limit or kind.name_limit, _LABEL_LIMIT) - len(unique) - 1
        return f"{_slug(self.task)[:room].rstrip('-')}-{unique}"

    def labels(self) -> dict[str, str]:
        """Gives the labels by which the resources of a run and of a task are found."""
        labels = {MANAGED_BY_LABEL: MANAGED_BY, TASK_LABEL: _label_value(self.task)}
        if self.run_id:
            labels[RUN_LABEL] = _label_value(self.run_id)
        return labels


def run_of(uri: str) -> str:
    """Reads the id of the run that made an artifact from the artifact's URI.

    KFP writes `<pipeline root>/<pipeline>/<run id>/<task>/<execution id>/<name>`
    (`backend/src/v2/metadata/client.go`, `GenerateOutputURI`). An id that is passed as a parameter
    would be a part of the cache key, and nothing would ever be found in the cache.

    Args:
        uri: The URI of an output of the task.

    Returns:
        Empty where the URI holds no such id, as outside of KFP.
    """
    found = (part for part in uri.split("/") if _UUID.fullmatch(part))
    return next(found, "")


def input_digest(*parts: Any) -> str:
    """Gives the SHA-256, in hexadecimal digits, of JSON-able values.

    Args:
        parts: What the task works on, in a fixed order: URIs and settings, nothing that differs
            between attempts.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def spec_digest(resource: Mapping[str, Any]) -> str:
    """Gives the digest of what a resource asks for: its API version, kind and spec.

    It is written into an annotation on creation, since the API server and webhooks fill in
    defaults: a spec that was read back cannot be compared with the wanted one.

    Args:
        resource: The wanted resource.
    """
    return input_digest(*(resource.get(field) for field in ("apiVersion", "kind", "spec")))


def _slug(text: str) -> str:
    """Reduces text to what a DNS-1035 label may hold; it starts with a letter."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return slug if slug[:1].isalpha() else f"task-{slug}".rstrip("-")


def _label_value(text: str) -> str:
    """Reduces text to what a label's value may hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:_LABEL_LIMIT].strip("._-")
