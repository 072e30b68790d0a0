"""The Experiment as a resource: a pure function of what was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import EXPERIMENT
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.tuning.katib import trial_command
from kfp_tabular.components.tuning.katib.trial_kinds import TrialKind
from kfp_tabular.components.tuning.search.early_stopping import MedianStop
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import Choice, Number, SearchSpace, Value

METRICS_FILE = "/var/log/katib/metrics.log"
"""Katib mounts its directory into the pod that reports, and its collector reads it there."""

METRICS_FORMAT = r"([\w|-]+)\s*=\s*([+-]?\d+(\.\d+)?([Ee][+-]?\d+)?)"
"""How the collector finds a metric.

Katib's own pattern matches `name=nan` with an empty value, which ends the collector where trials
are stopped early, and the search where it is the value of a trial. This one passes it over.
"""


@dataclass(frozen=True)
class ExperimentSpec:
    """A search that Katib can do.

    Attributes:
        space: What is searched.
        algorithm: Katib's name of the algorithm.
        algorithm_settings: Its settings by name.
        objective: What trials are judged by.
        target: The search ends once a trial is as good as this; None for no such value.
        additional_metrics: Further metrics to collect, each with the report that counts.
        max_trials: So many trials are run in all.
        parallel_trials: So many of them at a time.
        max_failed_trials: The search fails once more trials than this have failed.
        early_stopping: Stops bad trials; None for no such rule.
        resume_policy: `Never`, `LongRunning` or `FromVolume`.
        retain_trials: Whether the jobs of finished trials stay.
        kind: What a trial is.
        trial: The job that every trial is, without name; its arguments are those of all trials.
    """

    space: SearchSpace
    algorithm: str
    algorithm_settings: Mapping[str, str]
    objective: Objective
    kind: TrialKind
    trial: TrainingJobSpec
    max_trials: int
    parallel_trials: int
    max_failed_trials: int
    target: float | None = None
    additional_metrics: Mapping[str, str] = field(default_factory=dict)
    early_stopping: MedianStop | None = None
    resume_policy: str = "Never"
    retain_trials: bool = False


def experiment(spec: ExperimentSpec) -> dict[str, Any]:
    """Gives the Experiment. Name, namespace, labels and annotations are those of `spec.trial`."""
    body: dict[str, Any] = {
        "objective": _objective(spec),
        "algorithm": {"algorithmName": spec.algorithm},
        "parameters": [parameter(entry) for entry in spec.space],
        "maxTrialCount": spec.max_trials,
        "parallelTrialCount": spec.parallel_trials,
        # Katib gives up at this many failures, not beyond; and it wants no more than all trials.
        "maxFailedTrialCount": min(spec.max_failed_trials + 1, spec.max_trials),
        "resumePolicy": spec.resume_policy,
        "metricsCollectorSpec": {
            "collector": {"kind": "File"},
            "source": {
                "fileSystemPath": {"path": METRICS_FILE, "kind": "File", "format": "TEXT"},
                "filter": {"metricsFormat": [METRICS_FORMAT]},
            },
        },
        "trialTemplate": _trial_template(spec),
    }
    if spec.algorithm_settings:
        body["algorithm"]["algorithmSettings"] = _settings(spec.algorithm_settings)
    if spec.early_stopping:
        body["earlyStopping"] = {
            "algorithmName": "medianstop",
            "algorithmSettings": _settings(
                {
                    "min_trials_required": str(spec.early_stopping.min_trials_required),
                    "start_step": str(spec.early_stopping.start_step),
                }
            ),
        }
    return {
        "apiVersion": EXPERIMENT.api_version,
        "kind": EXPERIMENT.kind,
        "metadata": spec.trial.metadata(),
        "spec": body,
    }


def flag(name: str, value: object) -> str:
    """Gives an argument of the training program.

    Args:
        name: The setting's or hyperparameter's name, with underscores or dashes.
        value: Its value.
    """
    return f"--{name.replace('_', '-')}={value}"


def parameter(entry: Number | Choice) -> dict[str, Any]:
    """Gives an entry of Katib's `parameters`.

    Numbers are written without an exponent, since some of Katib's services read integers with
    Python's `int`. A step of 1 is what an int has anyway.
    """
    if isinstance(entry, Choice):
        feasible: dict[str, Any] = {"list": choices(entry)}
    else:
        feasible = {
            "min": _plain(entry.low),
            "max": _plain(entry.high),
            "distribution": entry.distribution,
        }
        if entry.step is not None and (entry.kind == "double" or entry.step != 1):
            feasible["step"] = _plain(entry.step)
    return {"name": entry.name, "parameterType": entry.kind, "feasibleSpace": feasible}


def choices(entry: Choice) -> list[str]:
    """Gives the values of a list as Katib has them, in their order.

    Whole numbers are written as such: one of Katib's services reads discrete values with `int`.
    """
    return [
        str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        for value in entry.values
    ]


def read_value(entry: Number | Choice, text: str) -> Value:
    """Reads a value that Katib chose.

    Args:
        entry: The parameter that it is a value of.
        text: The value; some services write integers as `12.0`.

    Raises:
        ValueError: Where it is none.
    """
    if isinstance(entry, Choice):
        return entry.values[choices(entry).index(text)]
    number = Decimal(text) if entry.kind == "int" else Decimal(repr(float(text)))
    return entry.typed(number)


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def _settings(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _objective(spec: ExperimentSpec) -> dict[str, Any]:
    strategies = {spec.objective.metric: spec.objective.strategy, **spec.additional_metrics}
    objective: dict[str, Any] = {
        "type": spec.objective.goal,
        "objectiveMetricName": spec.objective.metric,
        "metricStrategies": _settings(strategies),
    }
    if spec.additional_metrics:
        objective["additionalMetricNames"] = list(spec.additional_metrics)
    if spec.target is not None:
        objective["goal"] = spec.target
    return objective


def _trial_template(spec: ExperimentSpec) -> dict[str, Any]:
    names = [entry.name for entry in spec.space]
    searched = [flag(name, trial_command.placeholder(name)) for name in names]
    template: dict[str, Any] = {
        "primaryContainerName": spec.kind.job.container,
        "successCondition": spec.kind.success_condition,
        "failureCondition": spec.kind.failure_condition,
        "retain": spec.retain_trials,
        "trialParameters": [{"name": name, "reference": name} for name in names],
        "trialSpec": spec.kind.template(spec.trial, searched),
    }
    if spec.kind.job.chief_labels:
        template["primaryPodLabels"] = dict(spec.kind.job.chief_labels)
    return template
