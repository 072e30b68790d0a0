"""A study: the trials of a search and how they ended, on disk, so that the search can be resumed.

A study has a directory of its own, named after a digest of everything that its results depend on,
so that two searches never mix. Its record is Optuna's journal; a trial's outcome is written there
before the trial is closed.
"""

import fcntl
import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import files
from kfp_tabular.components.tuning.local import distributions, samplers
from kfp_tabular.components.tuning.search.objective import Goal
from kfp_tabular.components.tuning.search.search_space import SearchSpace, Value
from kfp_tabular.components.tuning.search.trials import Trial

if TYPE_CHECKING:
    import optuna

_JOURNAL = "journal.log"
_SETTINGS = "settings.json"
_VALUES = "values"
_OUTCOME = "outcome"
# As in existing studies.
_FORGOTTEN = "forgiven"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyPlan:
    """Everything that the choice of hyperparameters depends on.

    Attributes:
        space: The search space.
        algorithm: The search algorithm.
        goal: `maximize` or `minimize`.
        seed: The seed of the search.
        base: The base hyperparameters. If the search space contains them, they are the first
            trial, so that the result is never worse than the base.
    """

    space: SearchSpace
    algorithm: samplers.Algorithm
    goal: Goal
    seed: int
    base: Mapping[str, Value]


class Study:
    """The trials of a search.

    Use `open_study`: only one process at a time may work on a study.

    Args:
        directory: The study's directory, locked by the caller.
        plan: What to search and how.
    """

    def __init__(self, directory: Path, plan: StudyPlan) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.directory = directory
        self._plan = plan
        self._states = optuna.trial.TrialState
        self._storage = JournalStorage(JournalFileBackend(str(directory / _JOURNAL)))
        self._study = optuna.create_study(
            storage=self._storage,
            study_name="study",
            direction=plan.goal,
            load_if_exists=True,
            pruner=optuna.pruners.NopPruner(),
        )
        self._distributions = {
            parameter.name: distributions.distribution(parameter) for parameter in plan.space
        }
        self._forgotten = set(self._study.user_attrs.get(_FORGOTTEN, []))
        self._close_interrupted()
        self._trials = {
            frozen.number: self._trial(frozen)
            for frozen in self._study.get_trials(deepcopy=False)
            # A trial without values was interrupted while it was created.
            if _VALUES in frozen.user_attrs
        }

    @property
    def trials(self) -> list[Trial]:
        """The trials by number, without those that failed in an earlier, failed search."""
        return [trial for trial in self._trials.values() if trial.number not in self._forgotten]

    def trial_directory(self, number: int) -> Path:
        """Return the directory of a trial's files."""
        return self.directory / "trials" / f"{number:04d}"

    def ask(self) -> Trial | None:
        """Create the next trial.

        Returns:
            The trial, `running`; None if all points of a grid are used.
        """
        plan = self._plan
        point = self._point()
        if plan.algorithm.name == "grid" and point is None:
            return None
        if point is not None and not self._study.get_trials(
            deepcopy=False, states=(self._states.WAITING,)
        ):
            self._study.enqueue_trial(point)
        with warnings.catch_warnings():
            # Optuna warns that multivariate TPE is experimental; Katib has had it for years.
            warnings.simplefilter("ignore", category=FutureWarning)
            self._study.sampler = plan.algorithm.sampler(
                samplers.trial_seed(plan.seed, len(self._trials))
            )
        asked = self._study.ask(fixed_distributions=self._distributions)
        values = {
            parameter.name: distributions.value(parameter, asked.params[parameter.name])
            for parameter in plan.space
        }
        asked.set_user_attr(_VALUES, values)
        trial = Trial(number=asked.number, values=values)
        self._trials[trial.number] = trial
        return trial

    def close(self, trial: Trial) -> None:
        """Record how a trial ended."""
        outcome = {name: value for name, value in asdict(trial).items() if name != _VALUES}
        identity = self._identity(trial.number)
        self._storage.set_trial_user_attr(identity, _OUTCOME, outcome)
        self._tell(trial)
        self._trials[trial.number] = trial

    def forget_failures(self) -> None:
        """Forget the trials that failed so far, so that a later attempt can replace them."""
        failed = {trial.number for trial in self._trials.values() if trial.state == "failed"}
        self._forgotten |= failed
        self._study.set_user_attr(_FORGOTTEN, sorted(self._forgotten))

    def _point(self) -> dict[str, distributions.Raw] | None:
        """Return the raw values of the next trial, or None to let the sampler choose."""
        plan = self._plan
        values: Mapping[str, Value] | None
        if plan.algorithm.name == "grid":
            used = [trial.values for trial in self.trials]
            candidates = samplers.grid(plan.space, plan.seed)
            values = next((point for point in candidates if point not in used), None)
        else:
            values = None if self.trials else plan.base
        if values is None:
            return None
        raws = {p.name: distributions.raw(p, values[p.name]) for p in plan.space}
        found = {name: raw for name, raw in raws.items() if raw is not None}
        return found if len(found) == len(raws) else None

    def _close_interrupted(self) -> None:
        """Close trials that a kill left open, without values or with an outcome not yet told."""
        for frozen in self._study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
            if _VALUES not in frozen.user_attrs:
                self._study.tell(frozen.number, state=self._states.FAIL)
            elif _OUTCOME in frozen.user_attrs:
                self._tell(self._trial(frozen))

    def _tell(self, trial: Trial) -> None:
        if trial.state == "succeeded":
            self._study.tell(trial.number, trial.objective)
            return
        if trial.state == "early_stopped":
            identity = self._identity(trial.number)
            for step, report in enumerate(trial.reports):
                self._storage.set_trial_intermediate_value(identity, step, report)
        # Failed ones too: samplers avoid values of pruned trials, but ignore failed trials.
        self._study.tell(trial.number, state=self._states.PRUNED)

    def _identity(self, number: int) -> int:
        study = self._storage.get_study_id_from_name(self._study.study_name)
        return int(self._storage.get_trial_id_from_study_id_trial_number(study, number))

    @staticmethod
    def _trial(frozen: "optuna.trial.FrozenTrial") -> Trial:
        trial = Trial(number=frozen.number, values=frozen.user_attrs[_VALUES])
        outcome: dict[str, Any] | None = frozen.user_attrs.get(_OUTCOME)
        if outcome is None:
            return trial
        return replace(trial, **{**outcome, "reports": tuple(outcome["reports"])})


@contextmanager
def open_study(root: Path, plan: StudyPlan, dependencies: Mapping[str, Any]) -> Iterator[Study]:
    """Open the study of a search; create it if it does not exist.

    Args:
        root: The directory that holds studies.
        plan: What to search and how.
        dependencies: What else the results depend on, as JSON values. A different plan or
            different dependencies lead to another study.

    Yields:
        The study; trials of a killed search are `running` in it.

    Raises:
        RuntimeError: If another process works on the study.
    """
    settings = json.dumps(
        {"plan": asdict(plan), **dependencies}, sort_keys=True, indent=2, default=str
    )
    digest = hashlib.sha256(settings.encode()).hexdigest()
    directory = root / f"study-{digest[:16]}"
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        files.write_text(directory / _SETTINGS, settings)
        _repair(directory / _JOURNAL)
        study = Study(directory, plan)
        if study.trials:
            _logger.info("resuming the study in %s with %s", directory, _states(study.trials))
        yield study


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(
                f"{directory}: another tuning task is working on this study; wait until it ends."
            ) from error
        yield


def _repair(journal: Path) -> None:
    """Remove leftovers of a kill during a write, which Optuna could not read."""
    for leftover in journal.parent.glob(f"{journal.name}.lock*"):
        leftover.unlink()
    if not journal.exists():
        return
    with journal.open("rb+") as stream:
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            stream.truncate(whole)
            os.fsync(stream.fileno())


def _states(trials: Sequence[Trial]) -> str:
    states = [trial.state for trial in trials]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items())
