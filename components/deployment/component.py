"""The KFP interface of model deployment."""

from typing import Any, Dict, NamedTuple

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.SERVING, install_kfp_package=False)
def deploy_model(
    model: dsl.Input[dsl.Model],
    golden_examples: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    model_repository: str = "",
    model_name: str = "model",
    backend: str = "local",
    service: Dict[str, Any] = {},
    run_id: str = "",
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs", [("model_uri", str), ("version", str), ("endpoint", str), ("revision", str)]
):
    """Publishes a model for serving, after checking that it answers as it did in evaluation.

    With backend `local` the model is loaded in the serving environment and asked for the golden
    examples; an answer that differs by more than 1e-5 fails the task. Then it becomes the next
    version in the repository, `<model_repository>/<model_name>/<version>/`, with versions 1, 2, 3
    and so on as TensorFlow Serving and KServe read them. A version appears whole or not at all and
    is never changed.

    With backend `kserve` it is rolled out to a KServe endpoint. The candidate is asked for the
    golden examples over HTTP at each step, and its errors and latencies are measured against
    bounds; where it does not pass, the endpoint is put back as it was before and the task fails.

    Where exactly this model is deployed already, nothing changes, so the task can be retried.

    Args:
        model: The model, as `train_model` writes it.
        golden_examples: Rows and answers, as `evaluate_model` writes them.
        summary: How to ask the model, and what was measured.
        model_repository: The directory of the repository. For `local` a path or `file://`; it is
            made where there is none. For `kserve` also `s3://`, `minio://` or `gs://`, or empty to
            serve the artifact where it is.
        model_name: The model's name, and the endpoint's: at most 50 lower-case letters, digits and
            hyphens; 46 with a letter first for `kserve`.
        backend: `local` or `kserve`.
        service: For `kserve`: what the endpoint asks of the cluster and how it is rolled out, such
            as `{"strategy": "canary", "steps": [10, 50, 100], "soak_seconds": 120}`. The
            deployment guide has all keys.
        run_id: For `kserve`: the pipeline run, for the endpoint's labels. It becomes part of the
            task's cache key.

    Returns:
        model_uri: The version's directory; for `kserve` what the endpoint loads.
        version: The version, as text; for `kserve` a number that follows from the model's content.
        endpoint: The endpoint's URL; empty for `local`.
        revision: For `kserve` the Knative revision or the InferenceService that serves the model.

    Raises:
        UserError: Where the name, the repository, the backend or the service is not fit, the golden
            examples belong to another model, or a permission is missing.
        MismatchError: Where the model answers other than in its evaluation; `local`.
        RolloutError: Where a candidate did not pass or could not be served; `kserve`.
        BusyError: Where another run deploys to the same endpoint; `kserve`.
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
                model_uri=model.uri,
                service=service,
                run_id=run_id,
            )
        )
    outputs = namedtuple("outputs", ["model_uri", "version", "endpoint", "revision"])
    return outputs(deployed.model_uri, deployed.version, deployed.endpoint, deployed.revision)
