"""Renders the Experiment that a task would create, for review and GitOps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from kfp_tabular.components.common import documents
from kfp_tabular.components.common import options as common_options
from kfp_tabular.components.common.artifacts.supervised_task import TASK_KINDS, TaskKind
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.tuning.katib.experiment_plan import plan
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.options import TuningOptions

_DEFAULT_TRIALS = 12
"""The task would create no Experiment by default; a document without `max_trials` gets one."""


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(TuningOptions):
    """The document to render: the options of `tune_hyperparameters`, and what the task knows.

    Attributes:
        transformed_examples: URI of the input.
        transform_graph: URI of the input.
        task: The kind of task: `binary`, `multiclass` or `regression`.
        name: The Experiment's name; empty for the one that the task would choose.
        namespace: Its namespace; empty to leave it out.
    """

    transformed_examples: str
    transform_graph: str
    task: str = documents.checked(documents.one_of(*TASK_KINDS), "binary")
    name: str = ""
    namespace: str = documents.checked(documents.label_name)

    def request(self) -> ExperimentRequest:
        """Return what the Experiment is requested to search."""
        return ExperimentRequest(
            options=common_options.build(TuningOptions, vars(self)),
            transformed_examples=self.transformed_examples,
            transform_graph=self.transform_graph,
            task=cast(TaskKind, self.task),
        )


def render_experiment(config: Mapping[str, Any], source: str = "config") -> dict[str, Any]:
    """Return the Experiment that `tune_hyperparameters(backend="katib")` would create.

    Args:
        config: A mapping from YAML or JSON; its keys are the attributes of `ExperimentConfig`.
            `max_trials` is 12 if it is left out.
        source: What to call it in an error.

    Raises:
        UserError: For an unknown key, or a search that Katib could not run.

    Example:
        >>> experiment = render_experiment(
        ...     {
        ...         "transformed_examples": "s3://bucket/examples",
        ...         "transform_graph": "s3://bucket/graph",
        ...         "max_trials": 20,
        ...     }
        ... )
        >>> experiment["kind"], experiment["spec"]["maxTrialCount"]
        ('Experiment', 20)
    """
    document = {"max_trials": _DEFAULT_TRIALS, **config} if isinstance(config, Mapping) else config
    given = documents.parse(ExperimentConfig, document, source)
    resource = plan(given.request(), given.run_id, name=given.name).resource
    metadata = {**resource["metadata"]}
    if given.namespace:
        metadata["namespace"] = given.namespace
    metadata["annotations"] = {
        **metadata.get("annotations", {}),
        names.DIGEST_ANNOTATION: names.spec_digest(resource),
    }
    return {**resource, "metadata": metadata}
