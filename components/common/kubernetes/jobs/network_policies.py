"""The NetworkPolicy of a job: its pods reach each other, and no other pod reaches them.

A policy in a manifest cannot say "pods of the same job": a selector compares a label with a fixed
value. So the task that starts a job makes a policy with the job's name in it. The job owns it, so
both are deleted together.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
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

WHERE_ALLOWED = "auto"
REQUIRED = "required"
NONE = "none"

_UID_CHARACTERS = 8
_UNREACHABLE_SECONDS = 20

_logger = logging.getLogger(__name__)


def build(
    labels: Mapping[str, str], ports: Sequence[tuple[int, int]], name: str, owner: Object
) -> dict[str, Any]:
    """Return a policy by which pods reach each other.

    Args:
        labels: The labels that the pods of this one job have, besides the project's own.
        ports: The first and the last port of each range.
        name: The job's name.
        owner: The object to delete the policy with.

    Example:
        >>> owner = {"apiVersion": "kubeflow.org/v1", "kind": "TFJob"}
        >>> owner["metadata"] = {"name": "taxi", "uid": "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11"}
        >>> policy = build({"job": "taxi"}, [(2222, 2222)], "taxi", owner)
        >>> policy["metadata"]["name"], policy["spec"]["ingress"][0]["ports"]
        ('taxi-0b6a3c1e', [{'protocol': 'TCP', 'port': 2222}])
    """
    metadata = owner["metadata"]
    pods = {"matchLabels": {**labels, names.MANAGED_BY_LABEL: names.MANAGED_BY}}
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
            "ingress": [{"from": [{"podSelector": pods}], "ports": [_port(*p) for p in ports]}],
        },
    }
    if metadata.get("namespace"):
        policy["metadata"]["namespace"] = metadata["namespace"]
    return policy


def _port(first: int, last: int) -> dict[str, Any]:
    port: dict[str, Any] = {"protocol": "TCP", "port": first}
    return port if last == first else {**port, "endPort": last}


class JobNetworkPolicies:
    """Makes the policies of the jobs of one task, each once.

    Args:
        api: Access to the cluster.
        make: Returns the policy of a job, from its name and the object that owns the policy.
        mode: Where the account may not create policies: `auto`: goes on without; `required`: ends
            the task; `none`: makes no policies.
        setting: The name of the setting with the mode, for messages.
        ports: The ports that stay open without a policy, for messages.
    """

    def __init__(
        self,
        api: Api,
        make: Callable[[str, Object], Mapping[str, Any]],
        mode: str,
        setting: str,
        ports: str,
    ) -> None:
        self._api = api.bound(unreachable_seconds=_UNREACHABLE_SECONDS)
        self._make = make
        self._required = mode == REQUIRED
        self._setting = setting
        self._ports = ports
        self._made: set[str] = set()
        self._wanted = mode != NONE

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
        body = self._make(name, owner)
        try:
            self._api.create(NETWORK_POLICY, body, str(metadata.get("namespace") or ""))
        except ConflictError:
            # Made by an earlier attempt of this task: the name holds the owner's uid.
            self._made.add(metadata["uid"])
        except (ForbiddenError, RejectedError) as error:
            if self._required:
                raise
            self._wanted = False
            _logger.warning(
                "No NetworkPolicy for the job: %s of its pods is as open as the namespace "
                "leaves it. (%s) %s: required ends the task here; none does not ask.",
                self._ports,
                error,
                self._setting,
            )
        except ApiError as error:
            if self._required:
                raise
            _logger.warning("The NetworkPolicy of %s is not made yet: %s", name, error)
        else:
            self._made.add(metadata["uid"])
            _logger.info("NetworkPolicy %s created.", body["metadata"]["name"])
