"""Strategy `blue_green`: two InferenceServices in Standard mode, and a Service that selects one.

The Service's selector alone decides which of the two serves clients: changing it is one write, and
requests that are under way end where they began.
"""

import logging
import time
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import INFERENCE_SERVICE as KIND
from kfp_tabular.components.common.kubernetes.client.resource_kinds import SERVICE, Object
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    inference_service_spec,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    EndpointStatus,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import BLUE_GREEN
from kfp_tabular.components.deployment.kserve.rollout.endpoint_lock import RolloutJournal
from kfp_tabular.components.deployment.kserve.rollout.strategy import (
    RolloutContext,
    RolloutResult,
)
from kfp_tabular.components.deployment.kserve.verification import endpoint_address
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import CheckFailedError

_logger = logging.getLogger(__name__)


class BlueGreenRollout:
    """The strategy for two InferenceServices beside each other."""

    def __init__(self, context: RolloutContext) -> None:
        self._context, self._cluster = context, context.cluster
        self._lock, self._timing = context.cluster.lock, context.cluster.timing
        self._settings = context.cluster.settings
        self._name = context.spec.name

    def current(self) -> RolloutResult | None:
        """Return the endpoint as it is, where it serves what it should already; else None."""
        color = self._live_color()
        if not color:
            return None
        wanted = self._resource(color)
        found = self._cluster.find(KIND, wanted["metadata"]["name"])
        if found is None or not inference_service_spec.is_same(found, wanted):
            return None
        self._await(found)
        return self._result(color, found, is_changed=False)

    def is_void(self) -> bool:
        """Return False: parts of an unfinished rollout that are gone are created anew."""
        return False

    def begin(self) -> None:
        """Record the current state in the journal, before anything is changed.

        Raises:
            SpecConflictError: If a name belongs to something else.
            UserError: If KServe would not allow the change.
        """
        color = self._live_color()
        for each in inference_service.COLORS:
            found = self._cluster.find(KIND, inference_service.color_name(self._name, each))
            if found is not None:
                self._cluster.check_ours(KIND, found)
        self._lock.begin(
            RolloutJournal(self._context.spec.digest, BLUE_GREEN, previous=color or None)
        )

    def advance(self) -> RolloutResult:
        """Continue the rollout from its current step to its end.

        Raises:
            CandidateError: If the candidate cannot serve.
            CheckFailedError: If it fails a check.
        """
        color = self._candidate_color
        resource = self._resource(color)
        name = resource["metadata"]["name"]
        found = self._cluster.find(KIND, name)
        if found is not None and not inference_service_spec.is_same(found, resource):
            # Left over from an earlier rollout.
            self._cluster.delete(KIND, name)
        placed = self._cluster.create(KIND, resource)
        status = self._await(placed, may_fail=True)
        if self._live_color() != color:
            self._verify("before it takes over", placed, status, self._settings.soak_seconds)
            self._route_to(color)
            self._context.note(f"{self._name} routes to {name} now")
        previous = self._journal.previous
        seconds = self._settings.keep_previous_seconds if previous else 0
        self._verify("after it took over", placed, status, seconds)
        self._verify_entry()
        if previous:
            self._cluster.delete(KIND, inference_service.color_name(self._name, previous))
        result = self._result(color, placed, is_changed=True)
        self._lock.finish()
        return result

    def retreat(self) -> None:
        """Route clients back to the previous color at once."""
        previous = self._journal.previous
        if previous and self._live_color() == self._candidate_color:
            self._route_to(previous)

    def restore(self) -> str:
        """Route back to what was there before, which kept running; return ''."""
        self.retreat()
        self._remove_candidate(wait=True)
        self._lock.finish()
        return ""

    def stop(self) -> None:
        """Route clients back, without waiting for anything."""
        self.retreat()
        self._remove_candidate(wait=False)

    def _remove_candidate(self, *, wait: bool) -> None:
        color = self._candidate_color
        name = inference_service.color_name(self._name, color)
        if self._journal.previous is None and self._live_color() == color:
            self._cluster.delete(SERVICE, self._name, wait=wait)
        found = self._cluster.find(KIND, name)
        if found is not None and inference_service_spec.digest(found) == self._journal.digest:
            self._cluster.delete(KIND, name, wait=wait)

    @property
    def _journal(self) -> RolloutJournal:
        return self._lock.unfinished()

    @property
    def _candidate_color(self) -> str:
        first, second = inference_service.COLORS
        return second if self._journal.previous == first else first

    def _resource(self, color: str) -> dict[str, Any]:
        name = inference_service.color_name(self._name, color)
        return inference_service.build_inference_service(self._context.spec, name)

    def _live_color(self) -> str:
        """Return the color that serves clients; empty where the Service does not exist yet.

        Raises:
            SpecConflictError: If the Service is not this project's.
        """
        found = self._cluster.find(SERVICE, self._name)
        if found is None:
            return ""
        self._cluster.check_ours(SERVICE, found)
        selector = found["spec"].get("selector") or {}
        for color in inference_service.COLORS:
            name = inference_service.color_name(self._name, color)
            if selector.get(inference_service.POD_LABEL) == name:
                return color
        return ""

    def _route_to(self, color: str) -> None:
        name = inference_service.color_name(self._name, color)
        # The previous color may have other settings; if others deleted it, it has none.
        served = self._cluster.find(KIND, name) or self._resource(color)
        wanted = inference_service.build_entry_service(self._name, served)
        if self._cluster.find(SERVICE, self._name) is None:
            self._cluster.create(SERVICE, wanted)
            return

        def changed(found: Object) -> Object:
            selector = wanted["spec"]["selector"]
            # The ports change with the color.
            spec = {**found["spec"], "selector": selector, "ports": wanted["spec"]["ports"]}
            return found if found["spec"].get("selector") == selector else {**found, "spec": spec}

        self._cluster.change(SERVICE, self._name, changed)

    def _await(self, placed: Object, *, may_fail: bool = False) -> EndpointStatus:
        return self._cluster.wait(
            placed["metadata"]["name"],
            placed,
            lambda status: status.is_ready and status.is_loaded,
            seconds=self._settings.ready_seconds,
            what="readiness",
            blame=(lambda _: "candidate") if may_fail else None,
        )

    def _verify(self, what: str, placed: Object, status: EndpointStatus, seconds: float) -> None:
        address = endpoint_address.predictor(status, self._settings.access)
        self._context.verify_candidate(what, address, seconds, placed)

    def _verify_entry(self) -> None:
        """Verify the Service that clients use; nodes learn of its change a moment later."""
        address = endpoint_address.entry(
            self._name, self._cluster.api.namespace, self._settings.access
        )
        end = time.monotonic() + self._settings.verification.startup_seconds
        while True:
            try:
                self._context.verify("at the clients' address", address, 0, self._lock.ensure)
            except CheckFailedError:
                if time.monotonic() > end:
                    raise
                self._context.prober.reconnect()
                self._cluster.api.pause(self._timing.poll_seconds)
            else:
                return

    def _result(self, color: str, placed: Object, *, is_changed: bool) -> RolloutResult:
        url = f"http://{self._name}.{self._cluster.api.namespace}.svc.cluster.local"
        return RolloutResult(
            is_changed=is_changed,
            revision=inference_service.color_name(self._name, color),
            url=url,
            cluster_url=url,
            model_uri=inference_service_spec.storage_uri(placed),
            steps=self._context.steps,
        )
