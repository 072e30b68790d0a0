"""Parameters that a configuration locks: constants of the compiled spec in place of its inputs."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import parameters

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

_INPUT = "componentInputParameter"


def values(pipeline: "GraphComponent", locked: Mapping[str, Any], source: str = "") -> Any:
    """Return the values of locked parameters, converted to their types.

    Args:
        pipeline: The pipeline, with all of its parameters.
        locked: The values by parameter.
        source: How an error begins, such as `cluster.yaml: `.

    Raises:
        UserError: For a parameter that the pipeline does not have (the message names the closest),
            or a value that does not fit.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> values(validation_pipeline, {"split_keys": "customer"})
        {'split_keys': ['customer']}
        >>> values(validation_pipeline, {"fail_onn": "error"}, "cluster.yaml: ")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: cluster.yaml: locked: parameter 'fail_onn'
        is unknown. Did you mean 'fail_on'? ...
    """
    declared = parameters.types(pipeline.pipeline_spec)
    return parameters.convert(locked, declared, f"{source}locked: ")


def refuse(given: Iterable[str], locked: Iterable[str], source: str = "the configuration") -> None:
    """Check that a run sets no locked parameter.

    Args:
        given: The names of the parameters that the run sets.
        locked: The names of those that the configuration locks.
        source: How to name the configuration in the error.

    Raises:
        UserError: For the first locked parameter that is set.

    Example:
        >>> refuse(["epochs", "service"], ["service"], "cluster.yaml")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: parameter 'service' is locked in
        cluster.yaml, so a run cannot set it. Leave it out, or change it there.
    """
    fixed = set(locked)
    for name in given:
        if name in fixed:
            raise UserError(
                f"parameter {name!r} is locked in {source}, so a run cannot set it. Leave it out, "
                "or change it there."
            )


def lock(pipeline: "GraphComponent", locked: Mapping[str, Any]) -> None:
    """Replace parameters of a pipeline by constants. Changes the pipeline's spec.

    The graph stays as it is: where a task, a condition or a Kubernetes setting refers to the
    parameter, it gets the constant instead.

    Args:
        pipeline: The pipeline, made by `placement.apply`.
        locked: The values by parameter.

    Raises:
        UserError: As for `values`.

    Example:
        >>> from kfp_tabular.pipelines import placement, spec
        >>> from kfp_tabular.pipelines.configuration import PipelineConfig
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> built = placement.apply(validation_pipeline, PipelineConfig(), {})
        >>> lock(built, {"fail_on": "never"})
        >>> document = spec.of(built)
        >>> "fail_on" in spec.parameters(document)
        False
        >>> document["root"]["dag"]["tasks"]["validate-data"]["inputs"]["parameters"]["fail_on"]
        {'runtimeValue': {'constant': 'never'}}
    """
    from google.protobuf import json_format

    constants = values(pipeline, locked)
    if not constants:
        return
    spec = pipeline.pipeline_spec
    for name in constants:
        del spec.root.input_definitions.parameters[name]
        (pipeline.component_spec.inputs or {}).pop(name, None)
    document = json_format.MessageToDict(spec)
    root = document["root"]
    if not root.get("inputDefinitions", {}).get("parameters"):
        root.get("inputDefinitions", {}).pop("parameters", None)
    tasks = root["dag"]["tasks"]
    for task in tasks.values():
        _replace(task.get("inputs", {}), constants)
    spec.Clear()
    json_format.ParseDict(document, spec)
    platform = pipeline.platform_spec
    settings = json_format.MessageToDict(platform)
    labels = {
        document["components"][task["componentRef"]["name"]].get("executorLabel")
        for task in tasks.values()
    }
    # Deeper tasks refer to the inputs of their group, which gets the constants.
    for kind in settings.get("platforms", {}).values():
        for label, entry in kind.get("deploymentSpec", {}).get("executors", {}).items():
            if label in labels:
                _replace(entry, constants)
    platform.Clear()
    json_format.ParseDict(settings, platform)


def _replace(entry: Any, constants: Mapping[str, Any]) -> None:
    """Replace references to pipeline parameters, at any depth."""
    if isinstance(entry, list):
        for item in entry:
            _replace(item, constants)
    elif isinstance(entry, dict):
        if isinstance(entry.get(_INPUT), str) and entry[_INPUT] in constants:
            constant = constants[entry.pop(_INPUT)]
            if entry.keys() <= {"parameterExpressionSelector"}:
                entry["runtimeValue"] = {"constant": constant}
            else:
                # The claim of a mount, in the form that KFP before 2.5 reads.
                entry["constant"] = constant
        for item in entry.values():
            _replace(item, constants)
