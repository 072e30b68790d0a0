"""`direct` and `canary`: one InferenceService, changed in place."""

import logging
import time
from collections.abc import Callable
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.errors import SpecConflictError
from kfp_tabular.components.common.kubernetes.client.kinds import INFERENCE_SERVICE as KIND
from kfp_tabular.components.common.kubernetes.client.kinds import SERVICE, Object
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    inference_service_spec,
    inference_service_status,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    View,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    CANARY,
    KNATIVE,
)
from kfp_tabular.components.deployment.kserve.rollout.cluster import Blame, CandidateError
from kfp_tabular.components.deployment.kserve.rollout.lock import Journal, LostError
from kfp_tabular.components.deployment.kserve.rollout.strategy import Context, Outcome
from kfp_tabular.components.deployment.kserve.verification import endpoint_client
from kfp_tabular.components.deployment.kserve.verification.endpoint_client import Target

_logger = logging.getLogger(__name__)


class Single:
    """The strategies for one InferenceService.

    In Knative mode a change makes a revision. `canaryTrafficPercent` splits between the newest one
    that is ready and the one that last had all of the traffic; without it, the newest one gets all
    once it is ready. The share is no part of a revision, so changing it starts no pods.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._cluster = context, context.cluster
        self._lock, self._timing = context.cluster.lock, context.cluster.timing
        self._settings = context.cluster.settings
        self._name = context.wanted.name
        self._wanted = inference_service.build_inference_service(context.wanted)
        # As it should be found; others must not have changed it.
        self._placed: Object = self._wanted

    def current(self) -> Outcome | None:
        """Gives what there is, where it is what is wanted already.

        Raises:
            UserError: Somebody has taken it back by hand.
        """
        found = self._cluster.find(KIND, self._name)
        if found is None or not inference_service_spec.is_same(found, self._wanted):
            return None
        percent = inference_service_spec.share_of(found)
        if self._is_knative and percent not in (None, 100):
            raise UserError(
                f"InferenceService {self._name} holds this model already, and canaryTrafficPercent "
                f"{percent}, set by hand or by a rollback that did not end; nothing was changed. "
                "Deploy another model, or give this one all of the traffic: kubectl patch "
                f"{KIND.qualified} {self._name} -n {self._cluster.api.namespace} --type merge "
                """-p '{"spec": {"predictor": {"canaryTrafficPercent": null}}}'."""
            )
        self._placed = found
        return self._outcome(self._await(self._is_up_to_date, "readiness"), changed=False)

    def is_void(self) -> bool:
        """Tells whether neither what was there before nor the candidate is there any more."""
        found = self._cluster.find(KIND, self._name)
        previous = self._journal.previous
        if found is None:
            return previous is not None
        before = [] if previous is None else [inference_service_spec.digest(previous)]
        return inference_service_spec.digest(found) not in (self._journal.digest, *before)

    def begin(self) -> None:
        """Notes what is there before anything is changed.

        Raises:
            SpecConflictError: The name belongs to something else.
            UserError: KServe would not allow the change.
        """
        found = self._cluster.find(KIND, self._name)
        if found is None:
            self._check_service()
            self._lock.begin(Journal(self._context.wanted.digest, self._settings.strategy))
            return
        self._cluster.check_ours(KIND, found)
        inference_service_spec.check_mode(found, self._settings)
        view = inference_service_status.read(found)
        self._lock.begin(
            Journal(
                self._context.wanted.digest,
                self._settings.strategy,
                previous=inference_service_spec.snapshot(found),
                base_revision=view.created,
                rolled_out=view.rolled_out,
                stepped=self._is_knative and bool(view.rolled_out),
                failure=str(view.failure or ""),
            )
        )

    def advance(self) -> Outcome:
        """Goes on from wherever the rollout is, to its end.

        Raises:
            CandidateError: The candidate cannot serve.
            CheckFailedError: It does not pass.
        """
        journal = self._journal
        stepped = journal.stepped and self._settings.strategy == CANARY
        self._place(0 if stepped else None)
        done = self._is_up_to_date_beside if stepped and not journal.step else self._is_up_to_date
        view = self._await(done, "readiness", fails=True)
        if not stepped:
            self._verify("all of the traffic", view, self._settings.soak_seconds)
        else:
            if not journal.step:
                self._verify("no traffic", view, 0)
            for number, percent in enumerate(self._settings.steps):
                if number < journal.step:
                    continue
                self._set_share(None if percent == 100 else percent)
                view = self._await(
                    lambda view, percent=percent: self._has(view, percent),  # type: ignore[misc]
                    f"{percent} % of the traffic",
                    seconds=self._timing.traffic_seconds,
                )
                self._verify(f"{percent} % of the traffic", view, self._settings.soak_seconds)
                self._lock.write(step=number + 1)
        outcome = self._outcome(view, changed=True)
        self._lock.finish()
        return outcome

    def retreat(self) -> None:
        """Gives all of the traffic back at once; `restore` does the rest."""
        found = self._cluster.find(KIND, self._name)
        journal = self._journal
        if found is None or journal.previous is None or not self._is_candidates(found):
            return
        if journal.stepped:
            # Even after all of it: KServe then goes back to the one that had all of it before.
            self._set_share(0)
        else:
            # A share would be one of the candidate's traffic now.
            self._change(
                lambda found: inference_service_spec.with_share(
                    inference_service_spec.placed(found, journal.previous), None
                )
            )

    def restore(self) -> str:
        """Puts back what was there before, waits until it serves, and says what keeps it."""
        journal, missing = self._journal, ""
        found = self._cluster.find(KIND, self._name)
        if journal.previous is None:
            if found is not None and self._is_candidates(found):
                self._cluster.delete(KIND, self._name)
        elif found is not None:
            if self.is_void():
                raise LostError(f"InferenceService {self._name} was changed by somebody else.")
            self._placed = found
            self.retreat()
            try:
                if journal.stepped:
                    self._restore_stepped(journal)
                else:
                    self._await_previous(
                        lambda view: self._is_restored(view, journal), "the previous model"
                    )
            except CandidateError as error:
                # What served before goes on where it can; nothing better can be done from here.
                missing = str(error)
        self._lock.finish()
        return missing

    def stop(self) -> None:
        """Gives the traffic back, without waiting for anything."""
        if self._journal.previous is None:
            found = self._cluster.find(KIND, self._name)
            if found is not None and self._is_candidates(found):
                self._cluster.delete(KIND, self._name, wait=False)
        else:
            self.retreat()

    def _restore_stepped(self, journal: Journal) -> None:
        """Goes back to the previous spec, with a revision before it serving all the while."""
        found = self._cluster.api.get(KIND, self._name)
        if self._is_candidates(found):
            candidate = self._candidate_revision(journal)
            if not candidate:
                # With a share of 0, KServe would take the newest revision, which is the one that
                # serves, for one that is rolled back, and lead to the one before it.
                self._change(lambda found: inference_service_spec.placed(found, journal.previous))
                self._await_share(inference_service_spec.share_of(journal.previous))
                return
            self._try_until(lambda view: not view.share(candidate))
            # Noted first: without it nobody could tell later whose revision the newest one is.
            self._lock.write(candidate_revision=candidate)
            # The revision that this makes gets no traffic as long as it is not ready.
            self._change(
                lambda found: inference_service_spec.with_share(
                    inference_service_spec.placed(found, journal.previous), 0
                )
            )
        old = ("", self._journal.candidate_revision)
        self._await_previous(
            lambda view: view.created not in old and view.latest_ready == view.created,
            "the previous model",
        )
        # Somebody may have given it less by hand.
        percent = inference_service_spec.share_of(journal.previous)
        self._set_share(percent)
        self._await_share(percent)

    def _await_share(self, percent: int | None) -> None:
        share = 100 if percent is None else percent
        self._await_previous(lambda view: self._has(view, share), f"{share} % of the traffic")

    def _candidate_revision(self, journal: Journal) -> str:
        """Gives the candidate's revision; empty where it has none, since Knative refuses it."""
        end = time.monotonic() + self._timing.traffic_seconds
        while True:
            view = inference_service_status.read(self._cluster.api.get(KIND, self._name))
            if view.created != journal.base_revision:
                return view.created
            refused = (
                view.failure is not None and view.failure.state == inference_service_status.REFUSED
            )
            if time.monotonic() > end or (refused and self._blame(view) != "previous"):
                return ""
            self._cluster.api.pause(self._timing.poll_seconds)

    @property
    def _is_knative(self) -> bool:
        return self._settings.mode == KNATIVE

    @property
    def _journal(self) -> Journal:
        journal = self._lock.journal
        if journal is None:
            raise ValueError("no rollout is under way")
        return journal

    def _check_service(self) -> None:
        """Refuses to have KServe turn somebody's Service of the endpoint's name into its own.

        Raises:
            SpecConflictError: There is one.
        """
        found = self._cluster.find(SERVICE, self._name) if self._is_knative else None
        if found is None or any(
            owner["kind"] == KIND.kind for owner in found["metadata"].get("ownerReferences") or ()
        ):
            return
        raise SpecConflictError(
            f"Service {self._name} in namespace {self._cluster.api.namespace} is there already, "
            "and KServe puts its own in the place of it in Knative mode. Choose another "
            "model_name, or delete it. Strategy blue_green has one."
        )

    def _is_candidates(self, found: Object) -> bool:
        return inference_service_spec.digest(found) == self._journal.digest

    def _place(self, share: int | None) -> None:
        """Makes or changes the InferenceService, unless an attempt before has done so."""
        found = self._cluster.find(KIND, self._name)
        if found is None:
            self._placed = self._cluster.create(KIND, self._wanted)
            return
        if self._is_candidates(found):
            self._placed = found
            return
        self._change(
            lambda found: inference_service_spec.with_share(
                inference_service_spec.placed(found, self._wanted), share
            )
        )
        _logger.info("InferenceService %s changed.", self._name)

    def _change(self, changed: Callable[[Object], Object]) -> None:
        self._placed = self._cluster.change(KIND, self._name, changed)

    def _set_share(self, percent: int | None) -> None:
        self._change(lambda found: inference_service_spec.with_share(found, percent))

    def _await(
        self,
        done: Callable[[View], bool],
        what: str,
        *,
        seconds: float = 0,
        fails: bool = False,
    ) -> View:
        return self._cluster.wait(
            self._name,
            self._placed,
            done,
            seconds=seconds or self._settings.ready_seconds,
            what=what,
            blame=self._blame if fails else None,
        )

    def _await_previous(self, done: Callable[[View], bool], what: str) -> None:
        self._cluster.wait(
            self._name,
            self._placed,
            done,
            seconds=self._settings.ready_seconds,
            what=what,
        )

    def _try_until(self, done: Callable[[View], bool]) -> None:
        """Waits for the traffic, but goes on without."""
        end = time.monotonic() + self._timing.traffic_seconds
        while time.monotonic() < end:
            found = self._cluster.find(KIND, self._name)
            if found is None or done(inference_service_status.read(found)):
                return
            self._cluster.api.pause(self._timing.poll_seconds)
        _logger.warning("InferenceService %s: the traffic has not changed yet", self._name)

    def _blame(self, view: View) -> Blame:
        """Tells whom a failure in the status is about: for a while, that is the one before."""
        journal = self._journal
        if journal.previous is None or (
            self._is_knative and view.created not in ("", journal.base_revision)
        ):
            return "candidate"
        return "previous" if str(view.failure) == journal.failure else "unknown"

    @property
    def _base(self) -> str:
        return self._lock.journal.base_revision if self._lock.journal else ""

    def _is_up_to_date(self, view: View) -> bool:
        if not self._is_knative:
            return view.ready and self._cluster.pods_changed(self._name, self._wanted)
        return (
            view.ready
            and view.created not in ("", self._base)
            and view.latest_ready == view.created
            and view.latest == view.created
        )

    def _is_up_to_date_beside(self, view: View) -> bool:
        """The same, and sees that clients keep what they had meanwhile."""
        had = self._journal.rolled_out
        late = view.created not in ("", self._base) and view.created != view.latest_ready
        if late and had and view.rolled_out not in ("", had):
            # Knative gave the one before the share of 0 while the candidate had no revision yet.
            # KServe takes that for a rollback. As long as the candidate is not ready, a share of
            # all is the former one's, and KServe knows it again.
            _logger.warning("KServe leads to %s instead of %s: mended.", view.rolled_out, had)
            self._set_share(None)
            self._try_until(lambda view: view.rolled_out == had or view.latest_ready != self._base)
            self._set_share(0)
            return False
        return self._is_up_to_date(view)

    def _is_restored(self, view: View, journal: Journal) -> bool:
        if not self._is_knative:
            return view.ready and self._cluster.pods_changed(self._name, journal.previous)
        return view.ready and view.latest_ready == view.created == view.latest

    @staticmethod
    def _has(view: View, percent: int) -> bool:
        # The status tells of the traffic before gateways have it, and of those by its readiness.
        return view.ready and view.latest == view.created and view.share(view.created) == percent

    def _target(self, view: View) -> Target:
        access = self._settings.access
        found = endpoint_client.candidate(view, access) if self._is_knative else None
        found = found or endpoint_client.predictor(view, access)
        if found is None:
            raise CandidateError(
                f"InferenceService {self._name} is ready, but has no address for "
                f"service.access.via {access.via}."
            )
        return found

    def _verify(self, what: str, view: View, seconds: float) -> None:
        last = [time.monotonic()]

        def seen() -> None:
            if time.monotonic() - last[0] >= self._timing.poll_seconds:
                last[0] = time.monotonic()
                self._lock.ensure()
                found: Any = self._cluster.find(KIND, self._name)
                self._cluster.unchanged(found, self._name, self._placed)

        self._context.verify(what, self._target(view), seconds, seen)

    def _outcome(self, view: View, *, changed: bool) -> Outcome:
        return Outcome(
            changed=changed,
            revision=view.created or self._name,
            url=view.url or view.address,
            inside=view.address,
            model_uri=inference_service_spec.storage_uri(self._placed),
            steps=self._context.steps,
        )
