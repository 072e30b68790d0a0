"""One rollout under the endpoint's lock: finish, roll back, or stop what was begun."""

import logging

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import AbortedError, ApiError
from kfp_tabular.components.common.kubernetes.jobs import waiting
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.deployment.kserve.resources.inference_service import EndpointSpec
from kfp_tabular.components.deployment.kserve.resources.service_settings import BLUE_GREEN
from kfp_tabular.components.deployment.kserve.rollout import endpoint_lock
from kfp_tabular.components.deployment.kserve.rollout.blue_green import BlueGreenRollout
from kfp_tabular.components.deployment.kserve.rollout.candidate_pods import CandidateError
from kfp_tabular.components.deployment.kserve.rollout.cluster import EndpointCluster, RolloutTiming
from kfp_tabular.components.deployment.kserve.rollout.endpoint_lock import EndpointLostError
from kfp_tabular.components.deployment.kserve.rollout.in_place import InPlaceRollout
from kfp_tabular.components.deployment.kserve.rollout.strategy import (
    RolloutContext,
    RolloutError,
    RolloutResult,
    RolloutStrategy,
)
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import CheckFailedError
from kfp_tabular.components.deployment.kserve.verification.prober import Prober

# An annotation holds 256 KiB, and the same one notes what was there before.
_LONGEST_VERDICT = 4000

_logger = logging.getLogger(__name__)


def lease_name(endpoint: str) -> str:
    """Return the name of the Lease that is an endpoint's lock.

    Example:
        >>> lease_name("taxi")
        'kfp-tabular-taxi'
    """
    return f"kfp-tabular-{endpoint}"


def roll_out(
    api: Api, spec: EndpointSpec, prober: Prober, timing: RolloutTiming | None, holder: str
) -> RolloutResult:
    """Roll out what an endpoint should serve, and stop in time after SIGTERM.

    Args:
        api: Access to the cluster.
        spec: What the endpoint should serve.
        prober: Verifies candidates.
        timing: Intervals and time limits; None for those that suit a real cluster.
        holder: The name of this attempt in the lock; unique.

    Raises:
        RolloutError: If the candidate failed a check or cannot be served; it was rolled back.
        BusyError: If another run is deploying to the endpoint.
        EndpointLostError: If the endpoint was changed by others in the meantime.
        SystemExit: With code 143, after SIGTERM.
    """
    timing = timing or RolloutTiming()
    bound = api.bound()
    with termination() as terminated:
        try:
            with (
                waiting.on_event(terminated, bound.abort),
                endpoint_lock.held(
                    api, lease_name(spec.name), holder, timing.lease, bound.pause
                ) as lock,
            ):
                cluster = EndpointCluster(spec.name, bound, lock, spec.settings, timing)
                return _advance_or_stop(RolloutContext(cluster, spec, prober), api)
        except AbortedError:
            raise SystemExit(TERMINATED_EXIT_CODE) from None


def _advance_or_stop(context: RolloutContext, api: Api) -> RolloutResult:
    try:
        return _advance(context)
    except AbortedError:
        # A task that is stopped on Kubeflow has a second or less.
        _stop(context.with_api(_impatient(api)))
        raise


def _advance(context: RolloutContext) -> RolloutResult:
    lock, spec = context.cluster.lock, context.spec
    strategy = _strategy(context, spec.settings.strategy)
    _settle(context)
    if lock.journal is None:
        current = strategy.current()
        if current is not None:
            _logger.info("%s serves this model already; nothing is changed.", spec.name)
            return current
        strategy.begin()
    else:
        _logger.info("resuming a rollout that was interrupted.")
    try:
        return strategy.advance()
    except (CandidateError, CheckFailedError) as error:
        _logger.error("%s", error)
        # Before anything else: without this note, a retry would not roll back.
        lock.write(backwards=True, verdict=str(error)[:_LONGEST_VERDICT])
        strategy.retreat()
        raise RolloutError(_verdict(spec.name, str(error), strategy.restore())) from error
    except UserError:
        # A missing permission, for example. No waiting: that may need the same permission.
        lock.write(backwards=True)
        strategy.stop()
        raise


def _settle(context: RolloutContext) -> None:
    """End what an interrupted attempt, or another run, left unfinished.

    Raises:
        RolloutError: If it was being rolled back because of a failed check, and is what this run
            wants to deploy.
    """
    lock, spec = context.cluster.lock, context.spec
    journal = lock.journal
    if journal is None:
        return
    strategy = _strategy(context, journal.strategy)
    if strategy.is_void():
        _logger.warning("the unfinished rollout was changed by others: starting anew.")
        lock.finish()
        return
    same = journal.digest == spec.digest and journal.strategy == spec.settings.strategy
    if same and not journal.backwards:
        return
    _logger.warning("rolling back a rollout that was interrupted.")
    if not journal.backwards:
        lock.write(backwards=True)
    problem = strategy.restore()
    if same and journal.verdict:
        raise RolloutError(_verdict(spec.name, journal.verdict, problem))


def _stop(context: RolloutContext) -> None:
    lock = context.cluster.lock
    journal = lock.journal
    if journal is None:
        return
    try:
        if not journal.backwards:
            lock.write(backwards=True)
        _strategy(context, journal.strategy).stop()
    except (ApiError, UserError, EndpointLostError) as error:
        _logger.error("the rollout could not be stopped: %s", error)
    else:
        _logger.info("stopped: %s serves what it served before.", context.spec.name)


def _strategy(context: RolloutContext, name: str) -> RolloutStrategy:
    return BlueGreenRollout(context) if name == BLUE_GREEN else InPlaceRollout(context)


def _verdict(name: str, reason: str, problem: str) -> str:
    if problem:
        return (
            f"{name}: the model was not deployed, and the rollback failed. {reason}\n"
            f"Rollback failed: {problem}"
        )
    return f"{name}: the model was not deployed, and the endpoint is as it was before. {reason}"


def _impatient(api: Api) -> Api:
    seconds = api.retry_policy.cancel_seconds
    return api.bound(
        unreachable_seconds=seconds, answer_seconds=min(seconds, 5), first_delay_seconds=0.1
    )
