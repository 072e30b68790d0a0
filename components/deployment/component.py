"""The KFP interface of model deployment."""

from typing import Any, Dict, NamedTuple

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.SERVING)
def deploy_model(
    model: dsl.Input[dsl.Model],
    golden_examples: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    model_repository: str = "",
    model_name: str = "model",
    backend: str = "local",
    service: Dict[str, Any] = {},
    registered_version: str = "",
    signing_key: str = "",
    tracking_uri: str = "",
    run_id: str = "",
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs", [("model_uri", str), ("version", str), ("endpoint", str), ("revision", str)]
):
    """Deploy a model for serving, after checking that its answers match its evaluation.

    Backend `local` loads the model in the serving environment and sends it the golden examples. An
    answer that differs by more than 1e-5 fails the task. The model then becomes the next version
    in the repository, `<model_repository>/<model_name>/<version>/`, with versions 1, 2, 3 and so
    on, as TensorFlow Serving and KServe read them. A version appears complete or not at all, and
    never changes.

    Backend `kserve` rolls the model out to a KServe endpoint. At each step the candidate gets the
    golden examples over HTTP, and its error rate and latencies are checked against bounds. If it
    fails a check, the endpoint returns to its previous state and the task fails.

    If exactly this model is deployed already, nothing changes, so the task can be retried.

    Args:
        model: The model, as `train_model` writes it.
        golden_examples: Rows and answers, as `evaluate_model` writes them.
        summary: How to query the model, and what was measured.
        model_repository: Directory of the model repository. For `local` a path or `file://`,
            created if it does not exist. For `kserve` also `s3://`, `minio://` or `gs://`; empty
            serves the model artifact where it is.
        model_name: Name of the model and of its endpoint: at most 50 lower-case letters, digits
            and hyphens. For `kserve` at most 46, the first one a letter.
        backend: `local` publishes to a model repository; `kserve` rolls out to a KServe endpoint.
        service: For `kserve`: resources of the endpoint and the rollout strategy, such as
            `{"strategy": "canary", "steps": [10, 50, 100], "soak_seconds": 120}`. The deployment
            guide lists all keys.
        registered_version: Number of the registered version of `model_name` that this is, from
            `register_model`. It becomes champion once its rollout is verified. Empty: the registry
            is not used.
        signing_key: File of a private key (PEM, an elliptic curve) to sign the model with: a
            mounted secret. The endpoint verifies the signature if it has the public key. Empty: not
            signed.
        tracking_uri: The registry of models: an MLflow server (`http://`), a file
            (`sqlite:///...`), Kubeflow's Model Registry (`model-registry+http://`), or `none`.
            Empty: that of `MLFLOW_TRACKING_URI`, or of the local run; on a cluster without it none.
        run_id: For `kserve`: ID of the pipeline run, for the endpoint's labels. It becomes part of
            the task's cache key.

    Returns:
        model_uri: Directory of the version; for `kserve` the URI that the endpoint loads.
        version: The version, as text; for `kserve` a number that follows from the model's content.
        endpoint: URL of the endpoint; empty for `local`.
        revision: For `kserve` the Knative revision or InferenceService that serves the model.

    Raises:
        UserError: If an argument does not fit, the golden examples belong to another model, or a
            permission is missing.
        MismatchError: If the model's answers differ from those of its evaluation; `local`.
        RolloutError: If a candidate failed a check or could not be served; `kserve`.
        BusyError: If another run is deploying to the same endpoint; `kserve`.

    Example:
        >>> @dsl.pipeline
        ... def publish(model: dsl.Input[dsl.Model], golden: dsl.Input[dsl.Artifact]):
        ...     deploy_model(model=model, golden_examples=golden, model_repository="/srv/models")
    """
    from collections import namedtuple
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.deployment import deploy
    from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
    from kfp_tabular.components.deployment.options import DeploymentOptions

    request = DeploymentRequest(
        model=Path(model.path),
        golden_examples=Path(golden_examples.path),
        summary=Path(summary.path),
        model_uri=model.uri,
        options=options.build(DeploymentOptions, locals()),
    )
    with reported_to_user():
        deployed = deploy.run(request)
    outputs = namedtuple("outputs", ["model_uri", "version", "endpoint", "revision"])
    return outputs(deployed.model_uri, deployed.version, deployed.endpoint, deployed.revision)
