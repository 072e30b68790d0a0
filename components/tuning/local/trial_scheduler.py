"""Runs a study's trials, so many at a time, until there are enough."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.tuning.limits import Limits
from kfp_tabular.components.tuning.local.study import Study
from kfp_tabular.components.tuning.local.trial_process import TrialProcess
from kfp_tabular.components.tuning.search.early_stopping import MedianStop
from kfp_tabular.components.tuning.search.objective import Objective, Strategy, counted
from kfp_tabular.components.tuning.search.trials import Trial, best, describe, failure

_WORKER = ("-m", "kfp_tabular.components.training.worker")

_WORK = "work"
_POLL_SECONDS = 0.05
_PROGRESS_SECONDS = 30.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """How a trial trains.

    Attributes:
        transformed_examples: The transformed examples artifact.
        transform_graph: The transform graph artifact.
        base: The hyperparameters that hold where a trial has no others.
        seed: The seed of every trial's training.
        program: The training program, the executable as an absolute path.
        flags: More of the worker's flags, by name without dashes.
        additional: Further metrics to collect, by name with the report that counts.
    """

    transformed_examples: Path
    transform_graph: Path
    base: Hyperparameters
    seed: int
    program: tuple[str, ...]
    flags: Mapping[str, str] = field(default_factory=dict)
    additional: Mapping[str, Strategy] = field(default_factory=dict)

    def start(self, trial: Trial, directory: Path, metric: str, parallel: int) -> TrialProcess:
        """Starts a trial in a directory, from nothing.

        Args:
            trial: The trial.
            directory: The trial's own directory; what it held is removed.
            metric: The metric to watch.
            parallel: How many trials share the machine.
        """
        files.remove(directory)
        document = directory / "hyperparameters.json"
        self.base.updated(trial.values).save(document)
        metrics_file = directory / "metrics.txt"
        work = directory / _WORK
        flags = {
            "transformed-examples": self.transformed_examples,
            "transform-graph": self.transform_graph,
            "output": work / "model",
            "logs": work / "logs",
            "hyperparameters": document,
            "metrics-file": metrics_file,
            "seed": self.seed,
            **self.flags,
        }
        argv = [
            *self.program,
            *(f"--{name}={value}" for name, value in flags.items()),
            "--no-export",
        ]
        return TrialProcess(
            argv,
            environment(os.environ, parallel),
            metrics_file=metrics_file,
            log_file=directory / "log.txt",
            metric=metric,
            additional=self.additional,
        )


def worker() -> tuple[str, ...]:
    """Gives the training program.

    A task is `python3` from PATH, and so are its trials: the local runner puts one there that has
    TensorFlow loaded, which spares each trial the import. Outside of a task it is this
    interpreter.
    """
    in_task = os.environ.get("_KFP_RUNTIME") == "true"
    return ((shutil.which("python3") if in_task else None) or sys.executable, *_WORKER)


def environment(inherited: Mapping[str, str], parallel: int) -> dict[str, str]:
    """Gives a trial's environment.

    Args:
        inherited: The tuning task's own.
        parallel: How many trials share the machine. More than one share its cores and do not
            claim a GPU's whole memory each; what is set by hand stays.
    """
    merged = {**ENVIRONMENT, **inherited}
    # A trial is one process, whatever this task is part of.
    merged.pop("TF_CONFIG", None)
    merged["PYTHONUNBUFFERED"] = "1"
    if parallel > 1:
        threads = str(max(1, (os.cpu_count() or 1) // parallel))
        merged.setdefault("TF_NUM_INTRAOP_THREADS", threads)
        merged.setdefault("OMP_NUM_THREADS", threads)
        merged.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    return merged


def run(
    study: Study,
    training: Training,
    objective: Objective,
    limits: Limits,
    early_stopping: MedianStop | None,
    target: float | None = None,
) -> None:
    """Runs trials until there are enough, those first that an earlier attempt left running.

    Args:
        study: The study; it holds the outcomes afterwards.
        training: How a trial trains.
        objective: What a trial is judged by.
        limits: How much is tried.
        early_stopping: Stops bad trials; None for no such rule.
        target: No further trial is started once one is as good as this; None for no such value.

    Raises:
        UserError: Where more trials failed than may, each for bad input or configuration.
        RuntimeError: Where more trials failed than may, not all for that reason.
        SystemExit: With code 143, after SIGTERM. The trials' processes have ended by then.
    """
    search = _Search(study, training, objective, limits, early_stopping, target)
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
        training: Training,
        objective: Objective,
        limits: Limits,
        early_stopping: MedianStop | None,
        target: float | None,
    ) -> None:
        self._target = target
        self._study = study
        self._training = training
        self._objective = objective
        self._limits = limits
        self._early_stopping = early_stopping
        self._waiting = [trial for trial in study.trials if trial.state == "running"]
        self._running: dict[int, tuple[Trial, TrialProcess, float | None]] = {}
        self._exhausted = False
        self._spoke = time.monotonic()

    def advance(self) -> bool:
        """Takes in what happened and starts what may start; False once all is done."""
        for number, (trial, process, threshold) in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[number]
                self._close(trial, process, code)
            elif self._early_stopping and self._early_stopping.stops(
                process.reports, threshold, self._objective
            ):
                process.stop()
        while len(self._running) < self._limits.parallel_trials and self._start():
            pass
        if time.monotonic() - self._spoke > _PROGRESS_SECONDS:
            self._say("running")
        return bool(self._running)

    def end(self) -> None:
        """Ends every process that still runs; the study keeps their trials as running."""
        for _, process, _ in self._running.values():
            process.stop()
        for _, process, _ in self._running.values():
            process.wait()
        self._running.clear()

    def _start(self) -> bool:
        trial = self._next()
        if trial is None:
            return False
        threshold = None
        if self._early_stopping:
            succeeded = [t.reports for t in self._study.trials if t.state == "succeeded"]
            threshold = self._early_stopping.threshold(succeeded)
        process = self._training.start(
            trial,
            self._study.trial_directory(trial.number),
            self._objective.metric,
            self._limits.parallel_trials,
        )
        self._running[trial.number] = (trial, process, threshold)
        _logger.info("trial %d started: %s", trial.number, describe(trial))
        return True

    def _next(self) -> Trial | None:
        if self._waiting:
            return self._waiting.pop(0)
        if self._exhausted or len(self._study.trials) >= self._limits.max_trials:
            return None
        leader = None if self._target is None else best(self._study.trials, self._objective)
        if leader and self._objective.reached(leader.objective or 0.0, self._target or 0.0):
            return None
        asked = self._study.ask()
        self._exhausted = asked is None
        return asked

    def _close(self, trial: Trial, process: TrialProcess, code: int) -> None:
        ended = outcome(trial, process, code, self._objective, self._training.additional)
        self._study.close(ended)
        directory = self._study.trial_directory(trial.number)
        # Checkpoints are large, and nobody reads those of a trial; its log and metrics stay.
        files.remove(directory / _WORK)
        self._say(
            f"trial {ended.number} {ended.state.replace('_', ' ')} in {ended.seconds:.0f} s: "
            + (ended.message or f"{self._objective.metric}={_number(ended.objective)}")
        )
        failed = [t for t in self._study.trials if t.state == "failed"]
        if len(failed) > self._limits.max_failed_trials:
            why = f"more than max_failed_trials={self._limits.max_failed_trials} trials failed"
            raise failure(failed, why)

    def _say(self, what: str) -> None:
        self._spoke = time.monotonic()
        trials = self._study.trials
        states = [trial.state for trial in trials]
        leader = best(trials, self._objective)
        _logger.info(
            "%s (%d of %d done, %d running, %d failed; best %s)",
            what,
            len(states) - states.count("running"),
            max(self._limits.max_trials, len(states)),
            len(self._running),
            states.count("failed"),
            f"{_number(leader.objective)} in trial {leader.number}" if leader else "none yet",
        )


def outcome(
    trial: Trial,
    process: TrialProcess,
    code: int,
    objective: Objective,
    additional: Mapping[str, Strategy],
) -> Trial:
    """Decides how a trial ended.

    Args:
        trial: The trial as it was started.
        process: Its process, which has ended.
        code: The exit code; negative for a signal.
        objective: What the trial is judged by.
        additional: Further metrics, with the report that counts.
    """
    value = objective.value(process.reports)
    metrics = {name: counted(process.additional[name], how) for name, how in additional.items()}
    ended = replace(
        trial,
        reports=tuple(process.reports),
        seconds=round(process.seconds, 2),
        additional={name: found for name, found in metrics.items() if found is not None},
    )
    if process.stopping:
        return replace(ended, state="early_stopped", objective=value)
    if code != 0:
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = process.last_words()
        return replace(ended, state="failed", message=f"{reason}: {words}")
    if value is not None:
        return replace(ended, state="succeeded", objective=value)
    if process.reports:
        return replace(ended, state="diverged", message="the objective was not finite")
    return replace(ended, state="failed", message=f"it reported no metric {objective.metric!r}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
