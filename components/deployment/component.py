"""The KFP interface of model deployment."""

from typing import NamedTuple

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.SERVING, install_kfp_package=False)
def deploy_model(
    model: dsl.Input[dsl.Model],
    golden_examples: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    model_repository: str,
    model_name: str = "model",
    backend: str = "local",
) -> NamedTuple("Outputs", [("model_uri", str), ("version", str)]):  # type: ignore[valid-type]
    """Publishes a model for serving, after checking that it answers as it did in evaluation.

    The model is loaded in the serving environment and asked for the golden examples; an answer that
    differs by more than 1e-5 fails the task. Then it becomes the next version in the repository,
    `<model_repository>/<model_name>/<version>/`, with versions 1, 2, 3 and so on as TensorFlow
    Serving and KServe read them. A version appears whole or not at all and is never changed. Where
    the newest version already is exactly this model, nothing changes and that version is given, so
    the task can be retried.

    Args:
        model: The model, as `train_model` writes it.
        golden_examples: Rows and answers, as `evaluate_model` writes them.
        summary: How to serve the model and ask it.
        model_repository: The directory of the repository: a path or `file://`. It is made where
            there is none.
        model_name: The model's name: at most 50 lower-case letters, digits and hyphens.
        backend: `local`.

    Returns:
        model_uri: The version's directory.
        version: The version, as text.

    Raises:
        UserError: Where the name, the repository or the backend is not fit, or the golden examples
            belong to another model.
        MismatchError: Where the model answers other than in its evaluation.
    """
    from collections import namedtuple
    from pathlib import Path

    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.deployment import deploy

    with reported_to_user():
        deployed = deploy.run(
            deploy.Request(
                model=Path(model.path),
                golden_examples=Path(golden_examples.path),
                summary=Path(summary.path),
                model_name=model_name,
                model_repository=model_repository,
                backend=backend,
            )
        )
    outputs = namedtuple("outputs", ["model_uri", "version"])
    return outputs(deployed.model_uri, deployed.version)
