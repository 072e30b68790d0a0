"""Deploys a model to a KServe endpoint, and has it back as it was where that fails."""

import logging
import os
import platform
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.golden_examples import Golden
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import owner_reference
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.errors import AbortedError, ApiError
from kfp_tabular.components.common.kubernetes.jobs import waiting
from kfp_tabular.components.common.kubernetes.owner_reference import POD_NAME_VARIABLE
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.common.training_job.task_image import task_image
from kfp_tabular.components.deployment.kserve import rollout_summary
from kfp_tabular.components.deployment.kserve.resources import inference_service, model_location
from kfp_tabular.components.deployment.kserve.resources.inference_service import Wanted
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    BLUE_GREEN,
    ServiceSettings,
)
from kfp_tabular.components.deployment.kserve.rollout import lock
from kfp_tabular.components.deployment.kserve.rollout.blue_green import BlueGreen
from kfp_tabular.components.deployment.kserve.rollout.cluster import (
    CandidateError,
    Cluster,
    Timing,
)
from kfp_tabular.components.deployment.kserve.rollout.in_place import Single
from kfp_tabular.components.deployment.kserve.rollout.lock import LostError
from kfp_tabular.components.deployment.kserve.rollout.strategy import Context, Outcome, RolloutError
from kfp_tabular.components.deployment.kserve.verification import predict_protocol
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import CheckFailedError
from kfp_tabular.components.deployment.kserve.verification.prober import Prober

# Annotations hold 256 KiB; what was there before is noted in the same one.
_LONGEST_VERDICT = 4000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a task wants deployed.

    Attributes:
        model: The model, on this machine.
        model_uri: The artifact's URI.
        golden_examples: The golden examples of its evaluation.
        summary: The Markdown page to write.
        name: The endpoint's name.
        repository: Where to publish the model first; empty to serve the artifact where it is.
        service: The `service` document.
        run_id: The pipeline run; may be empty.
    """

    model: Path
    model_uri: str
    golden_examples: Path
    summary: Path
    name: str
    repository: str = ""
    service: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""


@dataclass(frozen=True)
class Deployed:
    """What serves now.

    Attributes:
        model_uri: What KServe loads.
        version: The model's version.
        new: Whether anything was changed.
        endpoint: Where clients find it.
        revision: A Knative revision, or an InferenceService.
    """

    model_uri: str
    version: str
    new: bool
    endpoint: str
    revision: str


class Strategy(Protocol):
    """A way to get from what serves to what is wanted; each method may be repeated."""

    def current(self) -> Outcome | None:
        """Gives what there is, where it is what is wanted already."""

    def is_void(self) -> bool:
        """Tells whether others have put something else in the place of an unfinished rollout."""

    def begin(self) -> None:
        """Notes what is there before anything is changed."""

    def advance(self) -> Outcome:
        """Goes on from wherever the rollout is, to its end."""

    def retreat(self) -> None:
        """Gives clients what they had before, at once."""

    def restore(self) -> str:
        """Puts back what was there before, waits for it, and says what keeps it from coming."""

    def stop(self) -> None:
        """Gives clients what they had before, without waiting for anything."""


def run(order: Order, api: Api | None = None, timing: Timing | None = None) -> Deployed:
    """Rolls a model out, or sees that it was.

    Args:
        order: What is wanted.
        api: Access to the cluster; None to connect as the pod or the kubeconfig says.
        timing: How to keep time; None for what suits a real cluster.

    Raises:
        UserError: For a document or an artifact that does not fit, a missing permission, or an
            endpoint that belongs to something else.
        RolloutError: The model did not pass, or cannot be served; the endpoint is as before.
        BusyError: Another run deploys to the endpoint.
        LostError: Somebody else changed it meanwhile.
        SystemExit: With 143, after SIGTERM; clients have what they had before.
    """
    settings = ServiceSettings.parse(order.service)
    inference_service.check_name(order.name)
    model = model_location.Model.load(order.model)
    questions = predict_protocol.questions(
        Golden.load(order.golden_examples), model, settings.runtime
    )
    if not questions:
        _logger.warning("there are no golden examples: the answers are not compared.")
    elif settings.auth_secret and not settings.access.token_file:
        raise UserError(
            "service.auth_secret: the endpoint asks for a key, and this task has none to verify "
            "the model with; mount one into it and name its file in service.access.token_file."
        )
    prober = Prober(order.name, questions, model, settings.verification, settings.access)
    uri = model_location.address(
        order.model, order.model_uri, order.repository, order.name, model, settings
    )
    cluster = connect() if api is None else api
    wanted = Wanted(
        name=order.name,
        settings=settings,
        storage_uri=uri,
        model_digest=model.digest,
        schema_digest=model.schema_digest,
        run_id=order.run_id,
        image=task_image(cluster),
    )
    with termination() as terminated:
        outcome = _deploy(cluster, wanted, prober, timing or Timing(), terminated)
    body = predict_protocol.shown(questions[0]) if questions else '{"instances": [{}]}'
    page = rollout_summary.markdown(wanted, outcome, body, cluster.namespace)
    files.write_text(order.summary, page)
    return Deployed(
        outcome.model_uri, wanted.version, outcome.changed, outcome.url, outcome.revision
    )


def _deploy(
    api: Api, wanted: Wanted, prober: Prober, timing: Timing, terminated: threading.Event
) -> Outcome:
    bound = api.bound()
    try:
        with (
            waiting.on_event(terminated, bound.abort),
            lock.held(
                api, lease_name(wanted.name), _holder(api, wanted), timing.terms, bound.pause
            ) as held,
        ):
            cluster = Cluster(wanted.name, bound, held, wanted.settings, timing)
            context = Context(cluster, wanted, prober)
            try:
                return _roll_out(context)
            except AbortedError:
                # A task that is stopped on Kubeflow has a second or less.
                _stop(context.with_api(_brief(api)))
                raise
    except AbortedError:
        raise SystemExit(TERMINATED_EXIT_CODE) from None


def _roll_out(context: Context) -> Outcome:
    held, wanted = context.cluster.lock, context.wanted
    strategy = _strategy(context, wanted.settings.strategy)
    _settle(context)
    if held.journal is None:
        there = strategy.current()
        if there is not None:
            _logger.info("%s serves this model already; nothing is changed.", wanted.name)
            return there
        strategy.begin()
    else:
        _logger.info("going on with a rollout that was interrupted.")
    try:
        return strategy.advance()
    except (CandidateError, CheckFailedError) as error:
        _logger.error("%s", error)
        # Whatever the candidate says: without this write, nothing would be rolled back.
        held.write(backwards=True, verdict=str(error)[:_LONGEST_VERDICT])
        strategy.retreat()
        raise RolloutError(_verdict(wanted.name, str(error), strategy.restore())) from error
    except UserError:
        # A right that is missing, say; without waiting, which may take the same right.
        held.write(backwards=True)
        strategy.stop()
        raise


def _settle(context: Context) -> None:
    """Ends what an interrupted attempt, or another run, has left half done.

    Raises:
        RolloutError: It was being rolled back because it had not passed, and was what is wanted.
    """
    held, wanted = context.cluster.lock, context.wanted
    journal = held.journal
    if journal is None:
        return
    strategy = _strategy(context, journal.strategy)
    if strategy.is_void():
        _logger.warning("what was being rolled out was changed by somebody else: starting anew.")
        held.finish()
        return
    same = journal.digest == wanted.digest and journal.strategy == wanted.settings.strategy
    if same and not journal.backwards:
        return
    _logger.warning("rolling back a rollout that was interrupted.")
    if not journal.backwards:
        held.write(backwards=True)
    missing = strategy.restore()
    if same and journal.verdict:
        raise RolloutError(_verdict(wanted.name, journal.verdict, missing))


def _stop(context: Context) -> None:
    held = context.cluster.lock
    journal = held.journal
    if journal is None:
        return
    try:
        if not journal.backwards:
            held.write(backwards=True)
        _strategy(context, journal.strategy).stop()
    except (ApiError, UserError, LostError) as error:
        _logger.error("the rollout could not be stopped: %s", error)
    else:
        _logger.info("told to stop: %s has what it had before.", context.wanted.name)


def _strategy(context: Context, name: str) -> Strategy:
    return BlueGreen(context) if name == BLUE_GREEN else Single(context)


def _verdict(name: str, why: str, missing: str) -> str:
    if missing:
        return (
            f"{name}: the model was not deployed, and the previous one does not come back. {why}\n"
            f"The previous one: {missing}"
        )
    return f"{name}: the model was not deployed, and the endpoint is as it was before. {why}"


def _brief(api: Api) -> Api:
    seconds = api.retry_policy.cancel_seconds
    return api.bound(
        unreachable_seconds=seconds, answer_seconds=min(seconds, 5), first_delay_seconds=0.1
    )


def lease_name(name: str) -> str:
    """Gives the name of an endpoint's lock."""
    return f"kfp-tabular-{name}"


def _holder(api: Api, wanted: Wanted) -> str:
    """Names this attempt: for people whose it is, and for the lock which one."""
    run = wanted.run_id
    if not run:
        reference = owner_reference.reference(api)
        run = str(reference["name"]) if reference else ""
    where = os.environ.get(POD_NAME_VARIABLE) or platform.node()
    return "/".join(part for part in (run, where, uuid.uuid4().hex[:8]) if part)


__all__ = ["Deployed", "Order", "lease_name", "run"]
