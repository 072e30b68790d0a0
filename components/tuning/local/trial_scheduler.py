"""Runs the trials of a study, several at a time, until there are enough."""

import logging
import time

from kfp_tabular.components.common import files
from kfp_tabular.components.common.process import child_process
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.tuning.local.study import Study
from kfp_tabular.components.tuning.local.trial_process import (
    GRACE_SECONDS,
    TrialProcess,
    outcome,
)
from kfp_tabular.components.tuning.local.trial_training import WORK_FOLDER, TrialTraining
from kfp_tabular.components.tuning.options import SearchOptions, target_value
from kfp_tabular.components.tuning.search.early_stopping import MedianStop
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.trials import Trial, best, failure

_POLL_SECONDS = 0.05
_PROGRESS_SECONDS = 30.0

_logger = logging.getLogger(__name__)


def run(
    study: Study,
    training: TrialTraining,
    objective: Objective,
    early_stopping: MedianStop | None,
    options: SearchOptions,
) -> None:
    """Run trials until there are enough, starting with those that an earlier attempt interrupted.

    Args:
        study: The study; it holds the results afterwards.
        training: How a trial trains.
        objective: The objective of the search.
        early_stopping: The rule that stops bad trials; None for none.
        options: How many trials to run and to tolerate failing, and the target.

    Raises:
        UserError: If more trials failed than may, each for bad input or configuration.
        RuntimeError: If more trials failed than may, not all for that reason.
        SystemExit: With code 143, after SIGTERM. The trials' processes have ended by then.
    """
    search = _Search(study, training, objective, early_stopping, options)
    with termination() as terminated:
        try:
            while search.advance():
                if terminated.wait(_POLL_SECONDS):
                    _logger.warning("terminated; the search can be resumed")
                    raise SystemExit(TERMINATED_EXIT_CODE)
        finally:
            search.end()


class _Search:
    """The processes of a search, and the decisions about them."""

    def __init__(
        self,
        study: Study,
        training: TrialTraining,
        objective: Objective,
        early_stopping: MedianStop | None,
        options: SearchOptions,
    ) -> None:
        self._study = study
        self._training = training
        self._objective = objective
        self._early_stopping = early_stopping
        self._options = options
        self._target = target_value(options.objective_target)
        self._interrupted = [trial for trial in study.trials if trial.state == "running"]
        self._running: dict[int, tuple[Trial, TrialProcess, float | None]] = {}
        self._is_exhausted = False
        self._last_progress = time.monotonic()

    def advance(self) -> bool:
        """Handle what happened and start what may start; return False once all is done."""
        for number, (trial, process, threshold) in list(self._running.items()):
            code = process.update()
            if code is not None:
                del self._running[number]
                self._close(trial, process, code)
            elif self._early_stopping and self._early_stopping.stops(
                process.reports, threshold, self._objective
            ):
                process.stop_early()
        while len(self._running) < self._options.parallel_trials and self._start():
            pass
        if time.monotonic() - self._last_progress > _PROGRESS_SECONDS:
            self._log_progress("running")
        return bool(self._running)

    def end(self) -> None:
        """End all processes that still run; the study keeps their trials as running."""
        processes = [process for _, process, _ in self._running.values()]
        child_process.stop(processes, GRACE_SECONDS)
        self._running.clear()

    def _start(self) -> bool:
        trial = self._next()
        if trial is None:
            return False
        threshold = None
        if self._early_stopping:
            succeeded = [t.reports for t in self._study.trials if t.state == "succeeded"]
            threshold = self._early_stopping.threshold(succeeded)
        directory = self._study.trial_directory(trial.number)
        process = self._training.start(trial, directory, self._objective.metric)
        self._running[trial.number] = (trial, process, threshold)
        _logger.info("trial %d started: %s", trial.number, trial.described_values())
        return True

    def _next(self) -> Trial | None:
        if self._interrupted:
            return self._interrupted.pop(0)
        if self._is_exhausted or len(self._study.trials) >= self._options.max_trials:
            return None
        leader = None if self._target is None else best(self._study.trials, self._objective)
        if leader and self._objective.is_reached(leader.objective or 0.0, self._target or 0.0):
            return None
        asked = self._study.ask()
        self._is_exhausted = asked is None
        return asked

    def _close(self, trial: Trial, process: TrialProcess, code: int) -> None:
        ended = outcome(trial, process, code, self._objective, self._training.additional)
        self._study.close(ended)
        directory = self._study.trial_directory(trial.number)
        # Checkpoints are large, and a trial's are not needed again; its log and metrics are kept.
        files.remove(directory / WORK_FOLDER)
        self._log_progress(
            f"trial {ended.number} {ended.state.replace('_', ' ')} in {ended.seconds:.0f} s: "
            + (ended.message or f"{self._objective.metric}={_number(ended.objective)}")
        )
        failed = [t for t in self._study.trials if t.state == "failed"]
        allowed = self._options.max_failed_trials
        if len(failed) > allowed:
            raise failure(failed, f"more than max_failed_trials={allowed} trials failed")

    def _log_progress(self, event: str) -> None:
        self._last_progress = time.monotonic()
        trials = self._study.trials
        states = [trial.state for trial in trials]
        leader = best(trials, self._objective)
        _logger.info(
            "%s (%d of %d done, %d running, %d failed; best %s)",
            event,
            len(states) - states.count("running"),
            max(self._options.max_trials, len(states)),
            len(self._running),
            states.count("failed"),
            f"{_number(leader.objective)} in trial {leader.number}" if leader else "none yet",
        )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
