"""Strategies `direct` and `canary`: one InferenceService, changed in place."""

import logging
import time
from collections.abc import Callable

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.errors import SpecConflictError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import INFERENCE_SERVICE as KIND
from kfp_tabular.components.common.kubernetes.client.resource_kinds import SERVICE, Object
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    inference_service_spec,
    inference_service_status,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    EndpointStatus,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import CANARY, KNATIVE
from kfp_tabular.components.deployment.kserve.rollout.candidate_pods import CandidateError
from kfp_tabular.components.deployment.kserve.rollout.cluster import Blame
from kfp_tabular.components.deployment.kserve.rollout.endpoint_lock import (
    EndpointLostError,
    RolloutJournal,
)
from kfp_tabular.components.deployment.kserve.rollout.strategy import (
    RolloutContext,
    RolloutResult,
)
from kfp_tabular.components.deployment.kserve.verification import endpoint_address

_logger = logging.getLogger(__name__)


class InPlaceRollout:
    """The strategies for one InferenceService.

    In Knative mode a change creates a revision. `canaryTrafficPercent` splits the traffic between
    the newest revision that is ready and the one that last had all of it; without it, the newest
    revision gets all of the traffic once it is ready. The share is not part of a revision, so
    changing it starts no pods.
    """

    def __init__(self, context: RolloutContext) -> None:
        self._context, self._cluster = context, context.cluster
        self._lock, self._timing = context.cluster.lock, context.cluster.timing
        self._settings = context.cluster.settings
        self._name = context.spec.name
        self._wanted = inference_service.build_inference_service(context.spec)
        # The object as this rollout wrote it; others must not have changed it.
        self._placed: Object = self._wanted

    def current(self) -> RolloutResult | None:
        """Return the endpoint as it is, where it serves what it should already; else None.

        Raises:
            UserError: If its traffic was taken away by hand.
        """
        found = self._cluster.find(KIND, self._name)
        if found is None or not inference_service_spec.is_same(found, self._wanted):
            return None
        percent = inference_service_spec.traffic_percent(found)
        if self._is_knative and percent not in (None, 100):
            raise UserError(
                f"InferenceService {self._name} holds this model already, with "
                f"canaryTrafficPercent {percent}, set by hand or by a rollback that did not "
                "complete; nothing was changed. Deploy another model, or give this one all of the "
                f"traffic: kubectl patch {KIND.qualified} {self._name} "
                f"-n {self._cluster.api.namespace} --type merge "
                """-p '{"spec": {"predictor": {"canaryTrafficPercent": null}}}'."""
            )
        self._placed = found
        return self._result(self._await(self._is_up_to_date, "readiness"), is_changed=False)

    def is_void(self) -> bool:
        """Return whether neither the previous resource nor the candidate exists any more."""
        found = self._cluster.find(KIND, self._name)
        previous = self._journal.previous
        if found is None:
            return previous is not None
        before = [] if previous is None else [inference_service_spec.digest(previous)]
        return inference_service_spec.digest(found) not in (self._journal.digest, *before)

    def begin(self) -> None:
        """Record the current state in the journal, before anything is changed.

        Raises:
            SpecConflictError: If the name belongs to something else.
            UserError: If KServe would not allow the change.
        """
        found = self._cluster.find(KIND, self._name)
        if found is None:
            self._check_service()
            journal = RolloutJournal(self._context.spec.digest, self._settings.strategy)
            self._lock.begin(journal)
            return
        self._cluster.check_ours(KIND, found)
        inference_service_spec.check_mode(found, self._settings)
        status = inference_service_status.read(found)
        self._lock.begin(
            RolloutJournal(
                self._context.spec.digest,
                self._settings.strategy,
                previous=inference_service_spec.snapshot(found),
                base_revision=status.created,
                rolled_out=status.rolled_out,
                stepped=self._is_knative and bool(status.rolled_out),
                failure=str(status.failure or ""),
            )
        )

    def advance(self) -> RolloutResult:
        """Continue the rollout from its current step to its end.

        Raises:
            CandidateError: If the candidate cannot serve.
            CheckFailedError: If it fails a check.
        """
        journal = self._journal
        stepped = journal.stepped and self._settings.strategy == CANARY
        self._place(0 if stepped else None)
        done = self._is_up_to_date_beside if stepped and not journal.step else self._is_up_to_date
        status = self._await(done, "readiness", may_fail=True)
        if not stepped:
            self._verify("all of the traffic", status, self._settings.soak_seconds)
        else:
            if not journal.step:
                self._verify("no traffic", status, 0)
            for number, percent in enumerate(self._settings.steps):
                if number < journal.step:
                    continue
                self._set_percent(None if percent == 100 else percent)
                status = self._await(
                    lambda status, percent=percent: self._has(status, percent),  # type: ignore[misc]
                    f"{percent}% of the traffic",
                    seconds=self._timing.traffic_seconds,
                )
                self._verify(f"{percent}% of the traffic", status, self._settings.soak_seconds)
                self._lock.write(step=number + 1)
        result = self._result(status, is_changed=True)
        self._lock.finish()
        return result

    def retreat(self) -> None:
        """Return all of the traffic at once; `restore` does the rest."""
        found = self._cluster.find(KIND, self._name)
        journal = self._journal
        if found is None or journal.previous is None or not self._is_candidates(found):
            return
        if journal.stepped:
            # Also after all of the traffic: KServe returns to the revision that had it before.
            self._set_percent(0)
        else:
            # A percentage would now split the candidate's own traffic.
            self._change(
                lambda found: inference_service_spec.with_traffic_percent(
                    inference_service_spec.replaced(found, journal.previous), None
                )
            )

    def restore(self) -> str:
        """Restore what was there before, and wait for it; return what went wrong, or ''."""
        journal, problem = self._journal, ""
        found = self._cluster.find(KIND, self._name)
        if journal.previous is None:
            if found is not None and self._is_candidates(found):
                self._cluster.delete(KIND, self._name)
        elif found is not None:
            if self.is_void():
                raise EndpointLostError(f"InferenceService {self._name} was changed by others.")
            self._placed = found
            self.retreat()
            try:
                if journal.stepped:
                    self._restore_stepped(journal)
                else:
                    self._await_previous(
                        lambda status: self._is_restored(status, journal), "the previous model"
                    )
            except CandidateError as error:
                # The previous model keeps serving where it can; the task can do no more.
                problem = str(error)
        self._lock.finish()
        return problem

    def stop(self) -> None:
        """Return the traffic, without waiting for anything."""
        if self._journal.previous is None:
            found = self._cluster.find(KIND, self._name)
            if found is not None and self._is_candidates(found):
                self._cluster.delete(KIND, self._name, wait=False)
        else:
            self.retreat()

    def _restore_stepped(self, journal: RolloutJournal) -> None:
        """Return to the previous spec, with an earlier revision serving all the while."""
        found = self._cluster.api.get(KIND, self._name)
        if self._is_candidates(found):
            candidate = self._candidate_revision(journal)
            if not candidate:
                # With a percentage of 0, KServe would take the newest revision, which serves, for
                # one that is rolled back, and route to the one before it.
                self._change(lambda found: inference_service_spec.replaced(found, journal.previous))
                self._await_percent(inference_service_spec.traffic_percent(journal.previous))
                return
            self._wait_if_possible(lambda status: not status.share(candidate))
            # Noted first: without it, a retry could not tell whose revision the newest one is.
            self._lock.write(candidate_revision=candidate)
            # The revision that this creates gets no traffic until it is ready.
            self._change(
                lambda found: inference_service_spec.with_traffic_percent(
                    inference_service_spec.replaced(found, journal.previous), 0
                )
            )
        old = ("", self._journal.candidate_revision)
        self._await_previous(
            lambda status: status.created not in old and status.latest_ready == status.created,
            "the previous model",
        )
        # It may have had less than all of the traffic, set by hand.
        percent = inference_service_spec.traffic_percent(journal.previous)
        self._set_percent(percent)
        self._await_percent(percent)

    def _await_percent(self, percent: int | None) -> None:
        share = 100 if percent is None else percent
        self._await_previous(lambda status: self._has(status, share), f"{share}% of the traffic")

    def _candidate_revision(self, journal: RolloutJournal) -> str:
        """Return the candidate's revision; empty where Knative refuses to create one."""
        end = time.monotonic() + self._timing.traffic_seconds
        while True:
            status = inference_service_status.read(self._cluster.api.get(KIND, self._name))
            if status.created != journal.base_revision:
                return status.created
            refused = (
                status.failure is not None
                and status.failure.state == inference_service_status.REFUSED
            )
            if time.monotonic() > end or (refused and self._blame(status) != "previous"):
                return ""
            self._cluster.api.pause(self._timing.poll_seconds)

    @property
    def _is_knative(self) -> bool:
        return self._settings.mode == KNATIVE

    @property
    def _journal(self) -> RolloutJournal:
        return self._lock.unfinished()

    def _check_service(self) -> None:
        """Check that KServe would not replace a Service of others that has the endpoint's name.

        Raises:
            SpecConflictError: If there is one.
        """
        found = self._cluster.find(SERVICE, self._name) if self._is_knative else None
        if found is None or any(
            owner["kind"] == KIND.kind for owner in found["metadata"].get("ownerReferences") or ()
        ):
            return
        raise SpecConflictError(
            f"Service {self._name} in namespace {self._cluster.api.namespace} exists already, and "
            "KServe would replace it in Knative mode. Choose another model_name, or delete the "
            "Service. Strategy blue_green creates such a Service."
        )

    def _is_candidates(self, found: Object) -> bool:
        return inference_service_spec.digest(found) == self._journal.digest

    def _place(self, percent: int | None) -> None:
        """Create or change the InferenceService, unless an earlier attempt has done so."""
        found = self._cluster.find(KIND, self._name)
        if found is None:
            self._placed = self._cluster.create(KIND, self._wanted)
            return
        if self._is_candidates(found):
            self._placed = found
            return
        self._change(
            lambda found: inference_service_spec.with_traffic_percent(
                inference_service_spec.replaced(found, self._wanted), percent
            )
        )
        _logger.info("InferenceService %s changed.", self._name)

    def _change(self, changed: Callable[[Object], Object]) -> None:
        self._placed = self._cluster.change(KIND, self._name, changed)

    def _set_percent(self, percent: int | None) -> None:
        self._change(lambda found: inference_service_spec.with_traffic_percent(found, percent))

    def _await(
        self,
        done: Callable[[EndpointStatus], bool],
        what: str,
        *,
        seconds: float = 0,
        may_fail: bool = False,
    ) -> EndpointStatus:
        return self._cluster.wait(
            self._name,
            self._placed,
            done,
            seconds=seconds or self._settings.ready_seconds,
            what=what,
            blame=self._blame if may_fail else None,
        )

    def _await_previous(self, done: Callable[[EndpointStatus], bool], what: str) -> None:
        self._cluster.wait(
            self._name,
            self._placed,
            done,
            seconds=self._settings.ready_seconds,
            what=what,
        )

    def _wait_if_possible(self, done: Callable[[EndpointStatus], bool]) -> None:
        """Wait for a change of the traffic, but continue without it."""
        end = time.monotonic() + self._timing.traffic_seconds
        while time.monotonic() < end:
            found = self._cluster.find(KIND, self._name)
            if found is None or done(inference_service_status.read(found)):
                return
            self._cluster.api.pause(self._timing.poll_seconds)
        _logger.warning("InferenceService %s: the traffic has not changed yet", self._name)

    def _blame(self, status: EndpointStatus) -> Blame:
        """Return which model a failure in the status is about: for a while, the previous one."""
        journal = self._journal
        if journal.previous is None or (
            self._is_knative and status.created not in ("", journal.base_revision)
        ):
            return "candidate"
        return "previous" if str(status.failure) == journal.failure else "unknown"

    @property
    def _base(self) -> str:
        return self._lock.journal.base_revision if self._lock.journal else ""

    def _is_up_to_date(self, status: EndpointStatus) -> bool:
        if not self._is_knative:
            return status.is_ready and self._cluster.has_replaced_pods(self._name, self._wanted)
        return (
            status.is_ready
            and status.created not in ("", self._base)
            and status.latest_ready == status.created
            and status.latest == status.created
        )

    def _is_up_to_date_beside(self, status: EndpointStatus) -> bool:
        """Return the same, and repair routes that KServe changed while the candidate starts."""
        had = self._journal.rolled_out
        late = status.created not in ("", self._base) and status.created != status.latest_ready
        if late and had and status.rolled_out not in ("", had):
            # Knative gave the previous revision the share of 0 while the candidate had no revision
            # yet, and KServe takes that for a rollback. While the candidate is not ready, all of
            # the traffic goes to the revision that had it, and KServe recognizes it again.
            _logger.warning("KServe routes to %s instead of %s: repairing.", status.rolled_out, had)
            self._set_percent(None)
            self._wait_if_possible(
                lambda status: status.rolled_out == had or status.latest_ready != self._base
            )
            self._set_percent(0)
            return False
        return self._is_up_to_date(status)

    def _is_restored(self, status: EndpointStatus, journal: RolloutJournal) -> bool:
        if not self._is_knative:
            return status.is_ready and self._cluster.has_replaced_pods(self._name, journal.previous)
        return status.is_ready and status.latest_ready == status.created == status.latest

    @staticmethod
    def _has(status: EndpointStatus, percent: int) -> bool:
        # The status shows the new traffic before gateways have it; readiness tells about those.
        return (
            status.is_ready
            and status.latest == status.created
            and status.share(status.created) == percent
        )

    def _verify(self, what: str, status: EndpointStatus, seconds: float) -> None:
        access = self._settings.access
        address = endpoint_address.candidate(status, access) if self._is_knative else None
        address = address or endpoint_address.predictor(status, access)
        self._context.verify_candidate(what, address, seconds, self._placed)

    def _result(self, status: EndpointStatus, *, is_changed: bool) -> RolloutResult:
        return RolloutResult(
            is_changed=is_changed,
            revision=status.created or self._name,
            url=status.url or status.address,
            cluster_url=status.address,
            model_uri=inference_service_spec.storage_uri(self._placed),
            steps=self._context.steps,
        )
