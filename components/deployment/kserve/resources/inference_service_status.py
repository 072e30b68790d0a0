"""The status of an InferenceService, read as its controller writes it.

After `pkg/apis/serving/v1beta1/inference_service_status.go` and the reconciler of Knative services
in KServe 0.16 to 0.21. `observedGeneration` does not help: it is copied from the child resource.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Object
from kfp_tabular.components.deployment.kserve.resources.inference_service import TAG
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    KNATIVE,
    STANDARD,
)

REFUSED = "ReconcileFailed"
"""KServe's reason if it could not create the Knative service that the spec asks for."""
_DENIED = "denied the request"

_OLD_MODES = {"Serverless": KNATIVE, "RawDeployment": STANDARD}


@dataclass(frozen=True)
class ModelFailure:
    """A failure of a model, as KServe reports it.

    Attributes:
        state: `InvalidSpec`, `BlockedByFailedLoad`, `FailedToLoad`, or `ReconcileFailed` if a
            webhook, such as Knative's, denies what KServe creates from the spec.
        reason: KServe's reason, such as `ModelLoadFailed`; may be empty.
        message: KServe's message; may be empty.
        exit_code: Exit code of the container; 0 if none is reported.

    Example:
        >>> print(ModelFailure("FailedToLoad", "ModelLoadFailed", "no such bucket", exit_code=1))
        FailedToLoad: ModelLoadFailed (exit code 1): no such bucket
    """

    state: str
    reason: str = ""
    message: str = ""
    exit_code: int = 0

    @property
    def is_explained(self) -> bool:
        """Whether KServe gives a reason. A Knative service that is starting fails without one."""
        return bool(self.reason or self.message)

    def __str__(self) -> str:
        text = self.reason or ("refused" if self.state == REFUSED else "no reason given")
        if self.exit_code:
            text += f" (exit code {self.exit_code})"
        message = " ".join(self.message.split())
        return f"{self.state}: {text}" + (f": {message}" if message else "")


@dataclass(frozen=True)
class EndpointStatus:
    """The parts of an InferenceService's status that a rollout uses.

    Attributes:
        mode: `Knative` or `Standard`; empty until a controller has handled the resource.
        is_ready: Whether all of it is ready, by its condition `Ready`.
        waiting: What it waits for: reason and message of the first condition that is not true.
        created: The newest revision.
        latest_ready: The newest revision that is ready.
        rolled_out: The newest revision that ever had all of the traffic.
        traffic: The percentage of the traffic by revision.
        latest: The revision that the newest traffic target belongs to.
        tag_url: URL of the newest revision alone.
        url: URL for clients outside the cluster.
        address: URL for clients inside the cluster.
        predictor_url: URL of the predictor itself.
        predictor_address: URL of the predictor itself inside the cluster.
        is_loaded: Whether KServe reports that the model is loaded.
        failure: The failure of the model; None if none is reported.
    """

    mode: str = ""
    is_ready: bool = False
    waiting: str = ""
    created: str = ""
    latest_ready: str = ""
    rolled_out: str = ""
    traffic: Mapping[str, int] = field(default_factory=dict)
    latest: str = ""
    tag_url: str = ""
    url: str = ""
    address: str = ""
    predictor_url: str = ""
    predictor_address: str = ""
    is_loaded: bool = False
    failure: ModelFailure | None = None

    def share(self, revision: str) -> int:
        """Return a revision's percentage of the traffic."""
        return self.traffic.get(revision, 0)


def read(resource: Object) -> EndpointStatus:
    """Read the status of an InferenceService.

    Example:
        >>> ready = {"type": "Ready", "status": "True"}
        >>> read({"spec": {}, "status": {"conditions": [ready]}}).is_ready
        True
    """
    status = resource.get("status") or {}
    predictor = (status.get("components") or {}).get("predictor") or {}
    mode = str(status.get("deploymentMode") or "")
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    latest = next((entry for entry in _traffic(predictor) if entry.get("latestRevision")), {})
    return EndpointStatus(
        mode=_OLD_MODES.get(mode, mode),
        is_ready=(conditions.get("Ready") or {}).get("status") == "True",
        waiting=_waiting(conditions),
        created=str(predictor.get("latestCreatedRevision") or ""),
        latest_ready=str(predictor.get("latestReadyRevision") or ""),
        rolled_out=str(predictor.get("latestRolledoutRevision") or ""),
        traffic=_shares(predictor),
        latest=str(latest.get("revisionName") or ""),
        tag_url=str(latest.get("url") or "") if latest.get("tag") == TAG else "",
        url=str(status.get("url") or ""),
        address=_url(status.get("address")),
        predictor_url=str(predictor.get("url") or ""),
        predictor_address=_url(predictor.get("address")),
        is_loaded=_states(status).get("targetModelState") == "Loaded",
        failure=_denial(conditions) or _failure(status),
    )


def _traffic(predictor: Mapping[str, Any]) -> "list[Mapping[str, Any]]":
    return list(predictor.get("traffic") or ())


def _shares(predictor: Mapping[str, Any]) -> dict[str, int]:
    shares: dict[str, int] = {}
    for entry in _traffic(predictor):
        name = str(entry.get("revisionName") or "")
        # One revision may be listed twice, as the newest and as the previous one.
        shares[name] = shares.get(name, 0) + int(entry.get("percent") or 0)
    return shares


def _waiting(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    for name in ("PredictorReady", "IngressReady", "Ready"):
        entry = conditions.get(name) or {}
        if entry.get("status") != "True":
            details = [name, entry.get("reason"), entry.get("message")]
            return ": ".join(" ".join(str(part).split()) for part in details if part)
    return ""


def _url(address: Any) -> str:
    return str((address or {}).get("url") or "")


def _states(status: Mapping[str, Any]) -> Mapping[str, Any]:
    states: Mapping[str, Any] = (status.get("modelStatus") or {}).get("states") or {}
    return states


def _denial(conditions: Mapping[str, Mapping[str, Any]]) -> ModelFailure | None:
    entry = conditions.get("PredictorReady") or {}
    message = str(entry.get("message") or "")
    # Other failures there are mostly temporary: a conflict, or a webhook that does not respond.
    if entry.get("reason") != REFUSED or _DENIED not in message:
        return None
    return ModelFailure(REFUSED, message=message)


def _failure(status: Mapping[str, Any]) -> ModelFailure | None:
    model = status.get("modelStatus") or {}
    transition, target = model.get("transitionStatus"), _states(status).get("targetModelState")
    if transition in ("InvalidSpec", "BlockedByFailedLoad"):
        state = str(transition)
    elif target == "FailedToLoad":
        state = "FailedToLoad"
    else:
        return None
    info = model.get("lastFailureInfo") or {}
    return ModelFailure(
        state,
        str(info.get("reason") or ""),
        str(info.get("message") or ""),
        int(info.get("exitCode") or 0),
    )
