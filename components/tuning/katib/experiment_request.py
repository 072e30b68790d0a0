"""What a Katib Experiment is requested to search."""

from dataclasses import asdict, dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.options import describe
from kfp_tabular.components.tuning.options import SearchOptions, TuningOptions, learning_record

_LIMITS = ("max_trials", "parallel_trials", "max_failed_trials")
_SEARCH = tuple(name for name in describe(SearchOptions) if name not in _LIMITS)
_TRIALS = ("seed", "trial_kind", "job", "resume_policy", "retain_trials")


@dataclass(frozen=True)
class ExperimentRequest:
    """What a Katib Experiment is requested to search.

    Attributes:
        options: The options of `tune_hyperparameters`.
        transformed_examples: Where trials find the transformed examples: a URI, or a path inside a
            volume of `job`.
        transform_graph: Where they find the transform graph.
        task: The kind of task, which decides the default objective.
    """

    options: TuningOptions
    transformed_examples: str
    transform_graph: str
    task: TaskKind

    def digest_input(self) -> dict[str, Any]:
        """Return what the Experiment's name is derived from, as JSON values.

        They have the form of the first version: in another one, a retried task would not find its
        Experiment.
        """
        options = self.options
        return {
            "transformed_examples": self.transformed_examples,
            "transform_graph": self.transform_graph,
            "task": self.task,
            "base": asdict(options.hyperparameters()),
            "limits": {name: getattr(options, name) for name in _LIMITS},
            "training_flags": learning_record(options),
            **{name: getattr(options, name) for name in (*_SEARCH, *_TRIALS)},
        }
