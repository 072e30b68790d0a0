"""The Kubernetes resource that a task of a pipeline would create, for review and for GitOps.

Values that are known only when a run starts have placeholders.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines import locked_parameters, parameters, task_arguments
from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition

TRAINING_TASK = "train-model"
TUNING_TASK = "tune-hyperparameters"
DEPLOYMENT_TASK = "deploy-model"

_BASE = ("model_type", "epochs", "train_steps", "batch_size", "learning_rate")
_INPUTS = ("transformed_examples", "transform_graph")
_AUTO = "auto"
_DEFAULT_SPLIT = (90, 10)


@dataclass(frozen=True)
class RunTime:
    """The values that are known only when a run starts; an empty one has a placeholder.

    Attributes:
        run_id: The run's id, part of the artifacts' addresses.
        namespace: The namespace of the resource; empty to leave it out.
        pipeline_root: The URI below which KFP keeps artifacts.
        transformed_examples: URI of the artifact.
        transform_graph: URI of the artifact.
        model: URI that KFP would choose for the model.
        hyperparameters: The document that a search found; None for the values it starts from.
        task: `binary`, `multiclass` or `regression`, if the data decides.
        split: Of an InferenceGraph: `NAME=PERCENT` for each endpoint; empty for 90 and 10 to blue
            and green.
        data_task: Of a SparkApplication: the task that processes rows on it.
    """

    run_id: str = ""
    namespace: str = ""
    pipeline_root: str = ""
    transformed_examples: str = ""
    transform_graph: str = ""
    model: str = ""
    hyperparameters: Path | None = None
    task: str = ""
    split: tuple[str, ...] = ()
    data_task: str = "transform-features"


PLACEHOLDERS = RunTime(
    run_id="run-id",
    pipeline_root="minio://mlpipeline/v2/artifacts/kfp-tabular-training",
    transformed_examples="transform-features/transformed_examples",
    transform_graph="transform-features/transform_graph",
    model="train-model/model",
)
"""The placeholders; addresses are relative to `<pipeline_root>/<run_id>`."""


@dataclass(frozen=True)
class Rendered:
    """A rendered resource.

    Attributes:
        resource: The resource.
        assumed: The placeholders in it: by name, their value or how the run finds it.
    """

    resource: Mapping[str, Any]
    assumed: Mapping[str, str] = field(default_factory=dict)


def render(
    kind: str,
    definition: PipelineDefinition,
    config: PipelineConfig,
    run_time: RunTime = RunTime(),
) -> Rendered:
    """Return the resource that a task of a pipeline would create.

    Args:
        kind: A key of `RENDERERS`.
        definition: The pipeline.
        config: The pipeline's configuration, with its parameters.
        run_time: The values that are known only when a run starts.

    Raises:
        UserError: For an unknown kind, a pipeline without the task that would create it, a
            parameter that the pipeline does not have, or a value that the task would refuse.

    Example:
        >>> from kfp_tabular.pipelines import registry
        >>> run_time = RunTime(split=("prices-blue=75", "prices-green=25"))
        >>> shown = render("inference-graph", registry.find("training"), PipelineConfig(), run_time)
        >>> [step["weight"] for step in shown.resource["spec"]["nodes"]["root"]["steps"]]
        [75, 25]
    """
    if kind not in RENDERERS:
        raise UserError(
            f"resource {kind!r} is unknown.{closest(kind, RENDERERS)} "
            f"Known: {', '.join(RENDERERS)}."
        )
    return RENDERERS[kind](_Pipeline.of(definition, config, run_time))


def to_yaml(rendered: Rendered) -> str:
    """Return a resource as YAML, with its placeholders in a comment above it.

    Example:
        >>> print(to_yaml(Rendered({"kind": "TFJob"}, {"model": "s3://models/v1"})), end="")
        # Known only when a run starts. Here:
        #   model: s3://models/v1
        kind: TFJob
    """
    notes = [f"#   {name}: {what}" for name, what in rendered.assumed.items()]
    if notes:
        notes.insert(0, "# Known only when a run starts. Here:")
    body = yaml.dump(
        rendered.resource, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return "\n".join([*notes, body])


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes repeated values in full, without YAML aliases: people read kubectl's diffs."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - its interface
        """Whether to write the data in full instead of an alias."""
        return True

    def increase_indent(
        self,
        flow: bool = False,
        indentless: bool = False,  # noqa: ARG002 - its interface
    ) -> Any:
        """Indent lists below their key, as the manifests do."""
        return super().increase_indent(flow, indentless=False)


@dataclass(frozen=True)
class _Pipeline:
    """A pipeline with its parameters, at the start of a run.

    Attributes:
        definition: The pipeline.
        config: Its configuration.
        spec: Its spec.
        values: Values of its parameters; those left out have their defaults.
        given: The values that are known of the run.
        start: The same, with placeholders for the rest.
    """

    definition: PipelineDefinition
    config: PipelineConfig
    spec: Mapping[str, Any]
    values: Mapping[str, Any]
    given: RunTime
    start: RunTime

    @classmethod
    def of(
        cls, definition: PipelineDefinition, config: PipelineConfig, given: RunTime
    ) -> "_Pipeline":
        built = definition.build(config)
        values = parameters.convert(config.parameters, parameters.types(built.pipeline_spec))
        values |= locked_parameters.values(definition.builder(config), config.locked)
        return cls(definition, config, specs.of(built), values, given, _complete(given))

    def places(self, *names: str) -> dict[str, str]:
        """Return the addresses of artifacts by name."""
        return {name: getattr(self.start, name) for name in names}

    def assumed(self, *names: str) -> dict[str, str]:
        """Return the addresses that are placeholders, by name."""
        return self.places(*(name for name in names if not getattr(self.given, name)))

    def arguments(self, task: str) -> dict[str, Any]:
        """Return the arguments of a task's component."""
        found = task_arguments.of_task(self.spec, task, self.values, self.start.run_id)
        return dict(found.values)

    def parameter(self, name: str) -> Any:
        """Return the value of a parameter of the pipeline; None where it has no such parameter."""
        declared = specs.parameters(self.spec).get(name, {})
        return self.values.get(name, declared.get("defaultValue"))

    def image(self, task: str) -> str:
        """Return the reference of the image that a task runs in."""
        return specs.tasks(self.spec)[task]


def _complete(given: RunTime) -> RunTime:
    run_id = given.run_id or PLACEHOLDERS.run_id
    root = (given.pipeline_root or PLACEHOLDERS.pipeline_root).rstrip("/")

    def place(name: str) -> str:
        return getattr(given, name) or f"{root}/{run_id}/{getattr(PLACEHOLDERS, name)}"

    return replace(
        given,
        run_id=run_id,
        pipeline_root=root,
        transformed_examples=place("transformed_examples"),
        transform_graph=place("transform_graph"),
        model=place("model"),
    )


def _tfjob(pipeline: _Pipeline) -> Rendered:
    from kfp_tabular.components.training.kubeflow import render as training

    return _training(pipeline, training.render_tfjob)


def _trainjob(pipeline: _Pipeline) -> Rendered:
    from kfp_tabular.components.training.kubeflow import render as training

    return _training(pipeline, training.render_trainjob)


def _training(
    pipeline: _Pipeline, build: Callable[[Mapping[str, Any], str], dict[str, Any]]
) -> Rendered:
    from kfp_tabular.components.training.kubeflow.render import TrainingConfig

    task = pipeline.arguments(TRAINING_TASK)
    hyperparameters, assumed = _hyperparameters(pipeline)
    config = {
        **_known(task, TrainingConfig),
        **pipeline.places(*_INPUTS, "model"),
        "namespace": pipeline.start.namespace,
        "hyperparameters": hyperparameters,
        # A job runs in the image of its task unless its document names another.
        "job": {"image": pipeline.image(TRAINING_TASK), **task["job"]},
    }
    assumed = {**pipeline.assumed(*_INPUTS, "model"), **assumed}
    return Rendered(build(config, TRAINING_TASK), assumed)


def _hyperparameters(pipeline: _Pipeline) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the hyperparameters that training would read, and the placeholders among them.

    Without a search they are the values that a search would start from.
    """
    if pipeline.start.hyperparameters is not None:
        return asdict(Hyperparameters.load(pipeline.start.hyperparameters)), {}
    if TUNING_TASK not in pipeline.definition.tasks:
        task = pipeline.arguments(TRAINING_TASK)
        return {name: task[name] for name in _BASE} | task["base_hyperparameters"], {}
    search = pipeline.arguments(TUNING_TASK)
    base = {name: search[name] for name in _BASE} | search["base_hyperparameters"]
    if not search["max_trials"]:
        return base, {}
    return base, {"hyperparameters": "those that the search starts from; it decides"}


def _experiment(pipeline: _Pipeline) -> Rendered:
    from kfp_tabular.components.common import documents
    from kfp_tabular.components.tuning.katib.experiment_plan import plan
    from kfp_tabular.components.tuning.katib.render import ExperimentConfig

    task = pipeline.arguments(TUNING_TASK)
    if not task["max_trials"]:
        raise UserError(
            "max_trials is 0, so the pipeline would not search. Set it under parameters."
        )
    places = pipeline.places(*_INPUTS)
    config = {**_known(task, ExperimentConfig), **places, "task": _kind_of_task(pipeline)}
    wanted = documents.parse(ExperimentConfig, config, TUNING_TASK).request()
    # As in the task: the name depends on what was asked for, to which the task's image does not
    # belong.
    image = pipeline.image(TUNING_TASK)
    planned = plan(wanted, task["run_id"], image=image)
    resource = _as_launched(planned.resource, pipeline.start.namespace)
    return Rendered(resource, pipeline.assumed(*_INPUTS))


def _spark_application(pipeline: _Pipeline) -> Rendered:
    from kfp_tabular.components.common.spark_task import plan
    from kfp_tabular.components.common.spark_task.task_request import TaskRequest

    name = pipeline.given.data_task
    tasks = {entry.name: entry for entry in specs.walk(pipeline.spec)}
    if name not in tasks:
        known = ", ".join(tasks)
        raise UserError(
            f"--data-task {name}: the pipeline has no such task.{closest(name, tasks)} "
            f"Known: {known}."
        )
    task = tasks[name]
    executor = pipeline.spec["deploymentSpec"]["executors"][task.component["executorLabel"]]
    arguments = executor["container"]["args"]
    root = f"{pipeline.start.pipeline_root}/{pipeline.start.run_id}"
    inputs = task.calls[-1].get("inputs", {}).get("artifacts", {})
    outputs = task.component.get("outputDefinitions", {}).get("artifacts", {})
    request = TaskRequest(
        arguments[arguments.index("--component") + 1],
        {
            "inputs": {
                "parameterValues": pipeline.arguments(name),
                "artifacts": {
                    key: _artifact(_source(root, key, entry)) for key, entry in inputs.items()
                },
            },
            "outputs": {"artifacts": {key: _artifact(f"{root}/{name}/{key}") for key in outputs}},
        },
    )
    settings = request.spark()
    if settings is None:
        raise UserError(
            f"{name} would not run on Kubernetes by Spark. Set processing, such as "
            "{engine: spark, master: k8s}, under parameters."
        )
    made = plan.make(request, settings, image=pipeline.image(name), run_id=pipeline.start.run_id)
    assumed = {
        "pipeline_root": "" if pipeline.given.pipeline_root else pipeline.start.pipeline_root,
        "run_id": "" if pipeline.given.run_id else pipeline.start.run_id,
        "name": "follows from the addresses of the artifacts",
    }
    return Rendered(
        _as_launched(made.resource, pipeline.start.namespace),
        {key: value for key, value in assumed.items() if value},
    )


def _source(root: str, name: str, entry: Mapping[str, Any]) -> str:
    """Return the address of a task's input."""
    made = entry.get("taskOutputArtifact", {})
    return f"{root}/{made.get('producerTask', 'inputs')}/{made.get('outputArtifactKey', name)}"


def _artifact(uri: str) -> dict[str, Any]:
    return {"artifacts": [{"name": uri.rpartition("/")[2], "uri": uri}]}


def _inference_service(pipeline: _Pipeline) -> Rendered:
    from kfp_tabular.components.common import options
    from kfp_tabular.components.deployment.kserve.resources.rendering import (
        render_inference_service,
    )
    from kfp_tabular.components.deployment.options import DeploymentOptions

    task = pipeline.arguments(DEPLOYMENT_TASK)
    uri, assumed = pipeline.start.model, pipeline.assumed("model")
    if task["model_repository"]:
        # A published model's place follows from its content.
        uri = f"{task['model_repository'].rstrip('/')}/{task['model_name']}/VERSION"
        assumed = {"model": uri}
    uses_image = task["service"].get("runtime", "image") == "image"
    resource = render_inference_service(
        options.build(DeploymentOptions, task),
        uri,
        namespace=pipeline.start.namespace,
        image=pipeline.image(DEPLOYMENT_TASK) if uses_image else "",
        source=DEPLOYMENT_TASK,
    )
    follows = "its version and digests, which follow from its content"
    return Rendered(resource, {**assumed, "labels and annotations of the model": follows})


def _inference_graph(pipeline: _Pipeline) -> Rendered:
    from kfp_tabular.components.deployment.kserve.resources import (
        inference_service,
        service_settings,
    )
    from kfp_tabular.components.deployment.kserve.resources.inference_graph import (
        build_inference_graph,
    )

    task = pipeline.arguments(DEPLOYMENT_TASK)
    service = service_settings.ServiceSettings.parse(task["service"], f"{DEPLOYMENT_TASK}.service")
    name = task["model_name"]
    shares = _shares(pipeline.given.split)
    has_colors = service.strategy == service_settings.BLUE_GREEN
    if not shares and has_colors:
        names = (inference_service.color_name(name, color) for color in inference_service.COLORS)
        shares = dict(zip(names, _DEFAULT_SPLIT, strict=True))
    endpoint = name if has_colors else ""
    return Rendered(
        build_inference_graph(
            f"{name}-split", service.mode, shares, pipeline.start.namespace, endpoint
        )
    )


def _shares(split: Sequence[str]) -> dict[str, int]:
    shares: dict[str, int] = {}
    for entry in split:
        name, _, share = entry.partition("=")
        if not share.isdecimal() or name in shares:
            raise UserError(f"--split {entry!r}: expected NAME=PERCENT, each endpoint once.")
        shares[name] = int(share)
    return shares


def _kind_of_task(pipeline: _Pipeline) -> str:
    """Return the kind of supervised task, which determines the default objective."""
    kind = pipeline.start.task or pipeline.parameter("task") or _AUTO
    if kind == _AUTO:
        raise UserError(
            "task is auto, so the data decides which metric the search improves. Give --task "
            "binary, multiclass or regression."
        )
    return str(kind)


def _known(values: Mapping[str, Any], config: type) -> dict[str, Any]:
    """Keep the arguments that a resource depends on."""
    names = {entry.name for entry in fields(config)}
    return {name: value for name, value in values.items() if name in names}


def _as_launched(resource: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Return a resource with the digest and the namespace that the launcher adds."""
    from kfp_tabular.components.common.kubernetes import names

    metadata = dict(resource["metadata"])
    if namespace:
        metadata["namespace"] = namespace
    annotations = {names.DIGEST_ANNOTATION: names.spec_digest(resource)}
    metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    return {**resource, "metadata": metadata}


RENDERERS: Mapping[str, Callable[[_Pipeline], Rendered]] = {
    "tfjob": _tfjob,
    "trainjob": _trainjob,
    "experiment": _experiment,
    "spark-application": _spark_application,
    "inference-service": _inference_service,
    "inference-graph": _inference_graph,
}
"""The resources that can be rendered, by their name on the command line."""
