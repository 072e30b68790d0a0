"""The Experiment as a resource: a pure function of the search."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import EXPERIMENT
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_options import flag
from kfp_tabular.components.tuning.katib import trial_command
from kfp_tabular.components.tuning.katib.trial_kinds import TrialKind
from kfp_tabular.components.tuning.options import TuningOptions
from kfp_tabular.components.tuning.search.early_stopping import MedianStop
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import Choice, Number, SearchSpace, Value

METRICS_FILE = "/var/log/katib/metrics.log"
"""Katib mounts its directory into the pod that reports, where its collector reads the file."""

METRICS_FORMAT = r"([\w|-]+)\s*=\s*([+-]?\d+(\.\d+)?([Ee][+-]?\d+)?)"
"""How the collector finds a metric.

Katib's own pattern matches `name=nan` with an empty value. That crashes the collector if trials may
be stopped early, and ends the search if it is a trial's value. This pattern skips it.
"""


@dataclass(frozen=True)
class ExperimentSpec:
    """A search that Katib can run: the options, and what was resolved from them.

    Attributes:
        options: The options of the search.
        space: The search space.
        algorithm_settings: The algorithm's settings by name, as Katib gets them.
        objective: The objective by which trials are compared.
        target: The search ends once a trial is as good as this; None for no target.
        additional_metrics: The additional metrics to collect, each with the report that counts.
        early_stopping: The rule that stops bad trials; None for none.
        kind: The kind of job that runs a trial.
        trial: The job of a trial, without name; its arguments are the same for all trials.
    """

    options: TuningOptions
    space: SearchSpace
    algorithm_settings: Mapping[str, str]
    objective: Objective
    target: float | None
    additional_metrics: Mapping[str, str]
    early_stopping: MedianStop | None
    kind: TrialKind
    trial: TrainingJobSpec


def experiment(spec: ExperimentSpec) -> dict[str, Any]:
    """Return the Experiment, with the name, namespace, labels and annotations of `spec.trial`."""
    options = spec.options
    body: dict[str, Any] = {
        "objective": _objective(spec),
        "algorithm": {"algorithmName": options.algorithm},
        "parameters": [parameter(entry) for entry in spec.space],
        "maxTrialCount": options.max_trials,
        "parallelTrialCount": options.parallel_trials,
        # Katib gives up at this number, not beyond it, and accepts no more than max_trials.
        "maxFailedTrialCount": min(options.max_failed_trials + 1, options.max_trials),
        "resumePolicy": options.resume_policy,
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
            "algorithmName": options.early_stopping,
            "algorithmSettings": _settings(
                {name: str(value) for name, value in asdict(spec.early_stopping).items()}
            ),
        }
    return {
        "apiVersion": EXPERIMENT.api_version,
        "kind": EXPERIMENT.kind,
        "metadata": spec.trial.metadata(),
        "spec": body,
    }


def parameter(entry: Number | Choice) -> dict[str, Any]:
    """Return an entry of Katib's `parameters`.

    Numbers are written without an exponent, because some of Katib's services read integers with
    Python's `int`. A step of 1 is left out, because an int has it by default.

    Args:
        entry: The hyperparameter.

    Example:
        >>> rate = Number("learning_rate", "double", Decimal("1e-5"), Decimal("0.1"))
        >>> parameter(rate)["feasibleSpace"]
        {'min': '0.00001', 'max': '0.1', 'distribution': 'uniform'}
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
    """Return the values of a list as Katib gets them, in their order.

    Whole numbers have no decimal point: one of Katib's services reads discrete values with `int`.

    Example:
        >>> choices(Choice("l2", "discrete", (0.0, 0.5)))
        ['0', '0.5']
    """
    return [
        str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        for value in entry.values
    ]


def read_value(entry: Number | Choice, text: str) -> Value:
    """Return a value that Katib chose, converted to its type.

    Args:
        entry: The hyperparameter.
        text: The value; some of Katib's services write integers as `12.0`.

    Raises:
        ValueError: If it is not a value of the hyperparameter.

    Example:
        >>> read_value(Number("epochs", "int", Decimal(1), Decimal(20), step=Decimal(1)), "12.0")
        12
        >>> read_value(Choice("l2", "discrete", (0.0, 0.5)), "0")
        0.0
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
        "retain": spec.options.retain_trials,
        "trialParameters": [{"name": name, "reference": name} for name in names],
        "trialSpec": spec.kind.template(spec.trial, searched),
    }
    if spec.kind.job.chief_labels:
        template["primaryPodLabels"] = dict(spec.kind.job.chief_labels)
    return template
