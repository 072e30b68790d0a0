"""`blue_green`: two InferenceServices in Standard mode, and a Service that leads to one of them.

Which of the two clients get stands in the Service's selector, and nowhere else: changing it is one
write, and requests under way end where they began.
"""

import logging
import time
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import INFERENCE_SERVICE as KIND
from kfp_tabular.components.common.kubernetes.client.kinds import SERVICE, Object
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    inference_service_spec,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    View,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    BLUE_GREEN,
)
from kfp_tabular.components.deployment.kserve.rollout.cluster import CandidateError
from kfp_tabular.components.deployment.kserve.rollout.lock import Journal
from kfp_tabular.components.deployment.kserve.rollout.strategy import Context, Outcome
from kfp_tabular.components.deployment.kserve.verification import endpoint_client
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import CheckFailedError

_logger = logging.getLogger(__name__)


class BlueGreen:
    """The strategy for two InferenceServices beside each other."""

    def __init__(self, context: Context) -> None:
        self._context, self._cluster = context, context.cluster
        self._lock, self._timing = context.cluster.lock, context.cluster.timing
        self._settings = context.cluster.settings
        self._name = context.wanted.name

    def current(self) -> Outcome | None:
        """Gives what there is, where it is what is wanted already."""
        color = self._live()
        if not color:
            return None
        wanted = self._resource(color)
        found = self._cluster.find(KIND, wanted["metadata"]["name"])
        if found is None or not inference_service_spec.is_same(found, wanted):
            return None
        self._await(found)
        return self._outcome(color, found, changed=False)

    def is_void(self) -> bool:
        """Tells whether what was rolled out is not there any more; its parts are made anew."""
        return False

    def begin(self) -> None:
        """Notes what is there before anything is changed.

        Raises:
            SpecConflictError: A name belongs to something else.
            UserError: KServe would not allow the change.
        """
        color = self._live()
        for each in inference_service.COLORS:
            found = self._cluster.find(KIND, inference_service.color_name(self._name, each))
            if found is not None:
                self._cluster.check_ours(KIND, found)
        self._lock.begin(Journal(self._context.wanted.digest, BLUE_GREEN, previous=color or None))

    def advance(self) -> Outcome:
        """Goes on from wherever the rollout is, to its end.

        Raises:
            CandidateError: The candidate cannot serve.
            CheckFailedError: It does not pass.
        """
        color = self._candidate
        resource = self._resource(color)
        name = resource["metadata"]["name"]
        found = self._cluster.find(KIND, name)
        if found is not None and not inference_service_spec.is_same(found, resource):
            # What was kept of an earlier rollout.
            self._cluster.delete(KIND, name)
        placed = self._cluster.create(KIND, resource)
        view = self._await(placed, fails=True)
        if self._live() != color:
            self._verify("before it takes over", placed, view, self._settings.soak_seconds)
            self._lead_to(color)
            self._context.note(f"{self._name} leads to {name} now")
        previous = self._journal.previous
        seconds = self._settings.keep_previous_seconds if previous else 0
        self._verify("after it took over", placed, view, seconds)
        self._verify_entry()
        if previous:
            self._cluster.delete(KIND, inference_service.color_name(self._name, previous))
        outcome = self._outcome(color, placed, changed=True)
        self._lock.finish()
        return outcome

    def retreat(self) -> None:
        """Leads clients back to the previous color at once."""
        previous = self._journal.previous
        if previous and self._live() == self._candidate:
            self._lead_to(previous)

    def restore(self) -> str:
        """Puts back what was there before, which has been there all the while."""
        self.retreat()
        self._remove(wait=True)
        self._lock.finish()
        return ""

    def stop(self) -> None:
        """Leads clients back, without waiting for anything."""
        self.retreat()
        self._remove(wait=False)

    def _remove(self, *, wait: bool) -> None:
        color, name = self._candidate, inference_service.color_name(self._name, self._candidate)
        if self._journal.previous is None and self._live() == color:
            self._cluster.delete(SERVICE, self._name, wait=wait)
        found = self._cluster.find(KIND, name)
        if found is not None and inference_service_spec.digest(found) == self._journal.digest:
            self._cluster.delete(KIND, name, wait=wait)

    @property
    def _journal(self) -> Journal:
        journal = self._lock.journal
        if journal is None:
            raise ValueError("no rollout is under way")
        return journal

    @property
    def _candidate(self) -> str:
        first, second = inference_service.COLORS
        return second if self._journal.previous == first else first

    def _resource(self, color: str) -> dict[str, Any]:
        name = inference_service.color_name(self._name, color)
        return inference_service.build_inference_service(self._context.wanted, name)

    def _live(self) -> str:
        """Gives the color that clients get; empty where there is no Service yet.

        Raises:
            SpecConflictError: The Service is not this project's.
        """
        found = self._cluster.find(SERVICE, self._name)
        if found is None:
            return ""
        self._cluster.check_ours(SERVICE, found)
        selector = found["spec"].get("selector") or {}
        for color in inference_service.COLORS:
            if selector.get(inference_service.POD_LABEL) == inference_service.color_name(
                self._name, color
            ):
                return color
        return ""

    def _lead_to(self, color: str) -> None:
        name = inference_service.color_name(self._name, color)
        # The previous one may have other settings; one that somebody has deleted has none.
        served = self._cluster.find(KIND, name) or self._resource(color)
        wanted = inference_service.build_entry_service(self._name, served)
        if self._cluster.find(SERVICE, self._name) is None:
            self._cluster.create(SERVICE, wanted)
            return

        def changed(found: Object) -> Object:
            selector = wanted["spec"]["selector"]
            # Clients get a color whole: its ports go with it.
            spec = {**found["spec"], "selector": selector, "ports": wanted["spec"]["ports"]}
            return found if found["spec"].get("selector") == selector else {**found, "spec": spec}

        self._cluster.change(SERVICE, self._name, changed)

    def _await(self, placed: Object, *, fails: bool = False) -> View:
        return self._cluster.wait(
            placed["metadata"]["name"],
            placed,
            lambda view: view.ready and view.loaded,
            seconds=self._settings.ready_seconds,
            what="readiness",
            blame=(lambda _: "candidate") if fails else None,
        )

    def _verify(self, what: str, placed: Object, view: View, seconds: float) -> None:
        target = endpoint_client.predictor(view, self._settings.access)
        name = placed["metadata"]["name"]
        if target is None:
            raise CandidateError(
                f"InferenceService {name} is ready, but has no address for service.access.via "
                f"{self._settings.access.via}."
            )
        last = [time.monotonic()]

        def seen() -> None:
            if time.monotonic() - last[0] >= self._timing.poll_seconds:
                last[0] = time.monotonic()
                self._lock.ensure()
                self._cluster.unchanged(self._cluster.find(KIND, name), name, placed)

        self._context.verify(what, target, seconds, seen)

    def _verify_entry(self) -> None:
        """Asks the way that clients do; nodes learn of a changed Service a moment later."""
        target = endpoint_client.entry(
            self._name, self._cluster.api.namespace, self._settings.access
        )
        end = time.monotonic() + self._settings.verification.startup_seconds
        while True:
            try:
                self._context.verify("as clients ask", target, 0, self._lock.ensure)
            except CheckFailedError:
                if time.monotonic() > end:
                    raise
                self._context.prober.reconnect()
                self._cluster.api.pause(self._timing.poll_seconds)
            else:
                return

    def _outcome(self, color: str, placed: Object, *, changed: bool) -> Outcome:
        url = f"http://{self._name}.{self._cluster.api.namespace}.svc.cluster.local"
        return Outcome(
            changed=changed,
            revision=inference_service.color_name(self._name, color),
            url=url,
            inside=url,
            model_uri=inference_service_spec.storage_uri(placed),
            steps=self._context.steps,
        )
