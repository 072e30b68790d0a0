"""Backend `kserve`: rolls a model out to a KServe endpoint, or rolls back if a check fails."""

import logging
import os
import platform
import uuid

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import owner_reference
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.owner_reference import POD_NAME_VARIABLE
from kfp_tabular.components.common.kubernetes.task_image import task_image
from kfp_tabular.components.deployment.deployment_request import (
    Deployment,
    DeploymentRequest,
    Tell,
    tell_nothing,
)
from kfp_tabular.components.deployment.kserve import rollout_summary
from kfp_tabular.components.deployment.kserve.resources import inference_service, model_location
from kfp_tabular.components.deployment.kserve.resources.deployed_model import DeployedModel
from kfp_tabular.components.deployment.kserve.resources.inference_service import EndpointSpec
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.kserve.rollout import rollout_driver
from kfp_tabular.components.deployment.kserve.rollout.cluster import RolloutTiming
from kfp_tabular.components.deployment.kserve.verification import predict_protocol
from kfp_tabular.components.deployment.kserve.verification.predict_protocol import GoldenRequest
from kfp_tabular.components.deployment.kserve.verification.prober import Prober

_logger = logging.getLogger(__name__)


def run(
    request: DeploymentRequest,
    api: Api | None = None,
    timing: RolloutTiming | None = None,
    tell: Tell = tell_nothing,
) -> Deployment:
    """Roll a model out to an endpoint; change nothing if the endpoint serves it already.

    Args:
        request: The model, and the options of the endpoint.
        api: Access to the cluster; None connects as the pod or the kubeconfig says.
        timing: Intervals and time limits; None for those that suit a real cluster.
        tell: Takes the URI of the model's directory before the endpoint loads it.

    Raises:
        UserError: If an option or an artifact does not fit, a permission is missing, or the
            endpoint's name belongs to something else.
        RolloutError: If the model failed a check or cannot be served; the endpoint is as before.
        BusyError: If another run is deploying to the endpoint.
        EndpointLostError: If the endpoint was changed by others in the meantime.
        SystemExit: With code 143, after SIGTERM; clients get what they had before.
    """
    options = request.options
    settings = ServiceSettings.parse(options.service)
    inference_service.check_name(options.model_name)
    model = DeployedModel.load(request.model)
    golden = predict_protocol.golden_requests(
        GoldenExamples.load(request.golden_examples), model.spec, settings.runtime
    )
    _check_golden(golden, settings)
    prober = Prober(options.model_name, golden, model.spec, settings.verification, settings.access)
    location = model_location.locate(request, model, settings)
    tell(location.directory)
    cluster = connect() if api is None else api
    spec = EndpointSpec(
        name=options.model_name,
        settings=settings,
        storage_uri=location.storage_uri,
        model_digest=model.digest,
        schema_digest=model.spec.schema_digest,
        run_id=options.run_id,
        image=task_image(cluster),
    )
    result = rollout_driver.roll_out(cluster, spec, prober, timing, _lock_holder(cluster, spec))
    body = predict_protocol.body_text(golden[0]) if golden else '{"instances": [{}]}'
    page = rollout_summary.markdown(spec, result, body, cluster.namespace)
    files.write_text(request.summary, page)
    return Deployment(
        result.model_uri, spec.version, result.is_changed, result.url, result.revision
    )


def _check_golden(golden: list[GoldenRequest], settings: ServiceSettings) -> None:
    if not golden:
        _logger.warning("there are no golden examples: answers are not compared.")
    elif settings.auth_secret and not settings.access.token_file:
        raise UserError(
            "service.auth_secret: the endpoint requires a key, and this task has none to verify "
            "the model with. Mount a key into the task and give its file in "
            "service.access.token_file."
        )


def _lock_holder(api: Api, spec: EndpointSpec) -> str:
    """Return the name of this attempt in the lock: the run and pod for people, and an ID."""
    run_id = spec.run_id
    if not run_id:
        reference = owner_reference.reference(api)
        run_id = str(reference["name"]) if reference else ""
    pod = os.environ.get(POD_NAME_VARIABLE) or platform.node()
    return "/".join(part for part in (run_id, pod, uuid.uuid4().hex[:8]) if part)
