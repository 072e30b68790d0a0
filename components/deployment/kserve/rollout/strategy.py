"""What the strategies have in common."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.deployment.kserve.resources.inference_service import Wanted
from kfp_tabular.components.deployment.kserve.rollout.cluster import Cluster
from kfp_tabular.components.deployment.kserve.verification import candidate_checks
from kfp_tabular.components.deployment.kserve.verification.endpoint_client import Target
from kfp_tabular.components.deployment.kserve.verification.prober import Prober

_logger = logging.getLogger(__name__)


class RolloutError(Exception):
    """A candidate did not pass, and the endpoint was rolled back; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What a rollout came to.

    Attributes:
        changed: Whether anything was changed; else the endpoint served this already.
        revision: What serves: a Knative revision, or an InferenceService.
        url: Where clients find the endpoint.
        inside: Where clients inside of the cluster do.
        model_uri: What KServe loads. Another address of the same model changes nothing.
        steps: What was done and measured, a line each.
    """

    changed: bool
    revision: str
    url: str
    inside: str = ""
    model_uri: str = ""
    steps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Context:
    """What a strategy works with.

    Attributes:
        cluster: The cluster.
        wanted: What the endpoint is to serve.
        prober: Verifies candidates.
        steps: What was done and measured so far, a line each.
    """

    cluster: Cluster
    wanted: Wanted
    prober: Prober
    steps: list[str] = field(default_factory=list)

    def verify(self, what: str, target: Target, seconds: float, seen: Callable[[], Any]) -> None:
        """Verifies a candidate.

        Args:
            what: The step, for people.
            target: The candidate.
            seconds: How long.
            seen: Called meanwhile; may raise to end it.

        Raises:
            CheckFailedError: It does not pass.
        """
        _logger.info("%s: asking %s for %g s", what, target, seconds)
        try:
            measured = self.prober.check(target, seconds, self.cluster.api.pause, seen)
        except candidate_checks.CheckFailedError as error:
            raise candidate_checks.CheckFailedError(f"{what}: {error}") from error
        self.note(f"{what}: {candidate_checks.summary(measured)}")

    def note(self, line: str) -> None:
        """Notes what was done, for the log and the page."""
        _logger.info("%s", line)
        self.steps.append(line)

    def with_api(self, api: Api) -> "Context":
        """Gives the same with another access to the cluster."""
        return Context(replace(self.cluster, api=api), self.wanted, self.prober, self.steps)
