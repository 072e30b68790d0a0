"""The KFP interface of model registration."""

from typing import NamedTuple

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.LAUNCHER)
def register_model(
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    golden_examples: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    training_logs: dsl.Input[dsl.Artifact] = None,
    tuning_report: dsl.Input[dsl.HTML] = None,
    evaluation_report: dsl.Input[dsl.HTML] = None,
    blessed: bool = True,
    model_name: str = "model",
    tracking_uri: str = "",
    run_id: str = "",
) -> NamedTuple("Outputs", [("version", str)]):  # type: ignore[valid-type]
    """Register a model as a version of a registered model, as its challenger.

    The version points to the model where it is, with a digest of its content. Beside the pointer
    the registry keeps the signature, an input example, the golden examples, the schema, the
    evaluation and a document by which `mlflow.pyfunc.load_model` loads it.

    The run is recorded in the tracking store first, whether the model is blessed or not: metrics,
    hyperparameters, learning curves, trials and pages. Where Kubeflow Pipelines has opened a run
    (`MLFLOW_RUN_ID`), into that one.

    The version becomes champion when `deploy_model` has verified its rollout. The same model is
    registered once, so the task can be retried.

    Args:
        model: The model, as `train_model` writes it.
        evaluation: Its evaluation, as `evaluate_model` writes it.
        golden_examples: Rows and answers, as `evaluate_model` writes them.
        summary: What was registered, or why nothing was.
        training_logs: What `train_model` writes: hyperparameters and learning curves to record.
        tuning_report: The page of `tune_hyperparameters`, whose trials are recorded, too.
        evaluation_report: The page of `evaluate_model`, to record.
        blessed: Whether evaluation has blessed the model. A model that is not is not registered.
        model_name: The name of the registered model.
        tracking_uri: The registry of models: an MLflow server (`http://`), a file
            (`sqlite:///...`), Kubeflow's Model Registry (`model-registry+http://`), or `none`.
            Empty: that of `MLFLOW_TRACKING_URI`, or of the local run; on a cluster without it none.
        run_id: Name of the pipeline run, under which it is recorded in the tracking store. It
            becomes part of the cache key.

    Returns:
        version: The number of the version; empty if none was registered.

    Raises:
        UserError: If an artifact is damaged or of another model, or the registry refuses the login.

    Example:
        >>> @dsl.pipeline
        ... def keep(
        ...     model: dsl.Input[dsl.Model],
        ...     evaluation: dsl.Input[dsl.Artifact],
        ...     golden: dsl.Input[dsl.Artifact],
        ... ):
        ...     register_model(
        ...         model=model, evaluation=evaluation, golden_examples=golden, model_name="taxi"
        ...     )
    """
    from collections import namedtuple
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.registration import register
    from kfp_tabular.components.registration.options import RegistrationOptions

    request = register.RegistrationRequest(
        model=Path(model.path),
        evaluation=Path(evaluation.path),
        golden_examples=Path(golden_examples.path),
        summary=Path(summary.path),
        training_logs=None if training_logs is None else Path(training_logs.path),
        pages={
            name: Path(page.path)
            for name, page in (
                ("tune-hyperparameters", tuning_report),
                ("evaluate-model", evaluation_report),
            )
            if page is not None
        },
        model_uri=model.uri,
        options=options.build(RegistrationOptions, locals()),
    )
    with reported_to_user():
        version = register.run(request)
    return namedtuple("outputs", ["version"])(version)
