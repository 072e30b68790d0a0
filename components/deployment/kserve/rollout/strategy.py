"""What the rollout strategies share: their interface, what they work with, and their result."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.resource_kinds import INFERENCE_SERVICE, Object
from kfp_tabular.components.deployment.kserve.resources.inference_service import EndpointSpec
from kfp_tabular.components.deployment.kserve.rollout.candidate_pods import CandidateError
from kfp_tabular.components.deployment.kserve.rollout.cluster import EndpointCluster
from kfp_tabular.components.deployment.kserve.verification import candidate_checks
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import CheckFailedError
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress
from kfp_tabular.components.deployment.kserve.verification.prober import Prober

_logger = logging.getLogger(__name__)


class RolloutError(Exception):
    """A candidate failed a check and was rolled back; the message gives the reason."""


@dataclass(frozen=True)
class RolloutResult:
    """An endpoint after a rollout.

    Attributes:
        is_changed: Whether anything was changed; False where the endpoint served the model already.
        revision: What serves: a Knative revision, or an InferenceService.
        url: URL for clients.
        cluster_url: URL for clients inside the cluster.
        model_uri: What KServe loads. Another address of the same model changes nothing.
        steps: What was done and measured, a line each.
    """

    is_changed: bool
    revision: str
    url: str
    cluster_url: str = ""
    model_uri: str = ""
    steps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RolloutContext:
    """What a strategy works with.

    Attributes:
        cluster: The cluster, as this rollout may change it.
        spec: What the endpoint should serve.
        prober: Verifies candidates.
        steps: What was done and measured so far, a line each.
    """

    cluster: EndpointCluster
    spec: EndpointSpec
    prober: Prober
    steps: list[str] = field(default_factory=list)

    def verify_candidate(
        self, what: str, address: EndpointAddress | None, seconds: float, placed: Object
    ) -> None:
        """Verify a candidate, and check meanwhile that others leave it unchanged.

        Args:
            what: The step, for messages.
            address: The candidate's address; None where its status has none.
            seconds: How long at least.
            placed: The candidate's InferenceService, as this rollout wrote it.

        Raises:
            CandidateError: If the candidate has no address.
            CheckFailedError: If it fails a check.
            EndpointLostError: If others changed it.
        """
        name, cluster = str(placed["metadata"]["name"]), self.cluster
        if address is None:
            raise CandidateError(
                f"InferenceService {name} is ready, but its status has no address for "
                f"service.access.via {cluster.settings.access.via}."
            )
        last = time.monotonic()

        def watch() -> None:
            nonlocal last
            if time.monotonic() - last >= cluster.timing.poll_seconds:
                last = time.monotonic()
                cluster.lock.ensure()
                cluster.check_unchanged(cluster.find(INFERENCE_SERVICE, name), name, placed)

        self.verify(what, address, seconds, watch)

    def verify(
        self, what: str, address: EndpointAddress, seconds: float, watch: Callable[[], Any]
    ) -> None:
        """Verify what serves at an address.

        Args:
            what: The step, for messages.
            address: Where to send requests.
            seconds: How long at least.
            watch: Called meanwhile; may raise to end the step.

        Raises:
            CheckFailedError: If it fails a check.
        """
        _logger.info("%s: querying %s for %g s", what, address, seconds)
        try:
            results = self.prober.check(address, seconds, self.cluster.api.pause, watch)
        except CheckFailedError as error:
            raise CheckFailedError(f"{what}: {error}") from error
        self.note(f"{what}: {candidate_checks.describe(results)}")

    def note(self, line: str) -> None:
        """Record what was done, in the log and on the page."""
        _logger.info("%s", line)
        self.steps.append(line)

    def with_api(self, api: Api) -> "RolloutContext":
        """Return the same context with another access to the cluster."""
        return RolloutContext(replace(self.cluster, api=api), self.spec, self.prober, self.steps)


class RolloutStrategy(Protocol):
    """A way from what an endpoint serves to what it should serve. Each method may be repeated."""

    def current(self) -> RolloutResult | None:
        """Return the endpoint as it is, where it serves what it should already; else None."""

    def is_void(self) -> bool:
        """Return whether others have replaced what an unfinished rollout was about."""

    def begin(self) -> None:
        """Record the current state in the journal, before anything is changed."""

    def advance(self) -> RolloutResult:
        """Continue the rollout from its current step to its end."""

    def retreat(self) -> None:
        """Return clients to the previous model, at once."""

    def restore(self) -> str:
        """Restore what was there before, and wait for it; return what went wrong, or ''."""

    def stop(self) -> None:
        """Return clients to the previous model, without waiting for anything."""
