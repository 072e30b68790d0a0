"""The resources, against KServe's own schema, unknown fields forbidden."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    inference_service_spec,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service import EndpointSpec
from kfp_tabular.components.deployment.kserve.resources.rendering import (
    render_inference_service,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.options import DeploymentOptions
from tests.cluster import schemas
from tests.components.deployment.kserve.strategies import DOCUMENTS

DIGEST = "sha256:" + "1f" * 32


def wanted(service: Any = None, **changes: Any) -> EndpointSpec:
    fields: dict[str, Any] = {
        "name": "taxi",
        "settings": ServiceSettings.parse(service or {}),
        "storage_uri": "s3://models/taxi/1",
        "model_digest": DIGEST,
        "schema_digest": DIGEST,
    }
    return EndpointSpec(**{**fields, **changes})


def container(resource: dict[str, Any]) -> dict[str, Any]:
    (found,) = resource["spec"]["predictor"]["containers"]
    return dict(found)


@schemas.needed
@given(
    service=DOCUMENTS,
    name=st.from_regex(r"[a-z]([-a-z0-9]{0,44}[a-z0-9])?", fullmatch=True),
    run_id=st.text(max_size=20),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_document_makes_a_valid_resource(
    service: dict[str, Any], name: str, run_id: str
) -> None:
    given = wanted(service, name=name, run_id=run_id)
    resource = inference_service.build_inference_service(
        given, inference_service.color_name(name, "blue")
    )

    assert schemas.problems(resource) == []
    assert json.loads(json.dumps(resource)) == resource
    metadata = resource["metadata"]
    mode = metadata["annotations"]["serving.kserve.io/deploymentMode"]
    assert mode == service["deployment_mode"]
    for value in [*metadata["labels"].values(), *resource["spec"]["predictor"]["labels"].values()]:
        assert len(value) <= 63
    for text in service.get("env", {}).values():
        assert text.replace("$(", "$$(") in json.dumps(resource, ensure_ascii=False) or text


@given(service=DOCUMENTS)
@hypothesis_settings(max_examples=30, deadline=None)
def test_the_run_and_the_address_do_not_change_what_is_deployed(service: dict[str, Any]) -> None:
    one = wanted(service, run_id="one")
    other = wanted(service, run_id="other", storage_uri="s3://elsewhere/1", image="a/b:2")

    assert one.digest == other.digest
    assert one.digest != wanted(service, model_digest="sha256:" + "2e" * 32).digest
    assert wanted({**service, "labels": {"team": "x-y"}}).digest != one.digest or (
        service.get("labels") == {"team": "x-y"}
    )


def test_the_own_image_as_a_predictor() -> None:
    found = container(
        inference_service.build_inference_service(wanted(image="registry.example.com/serving:2"))
    )

    assert found["image"] == "registry.example.com/serving:2"
    assert {"name": "STORAGE_URI", "value": "s3://models/taxi/1"} in found["env"]
    assert "--name=taxi" in found["args"] and "--model=/mnt/models" in found["args"]
    assert found["securityContext"]["readOnlyRootFilesystem"]
    assert found["readinessProbe"]["httpGet"]["path"] == "/v2/models/taxi/ready"


def test_it_is_the_shipped_runtime() -> None:
    """With and without the ServingRuntime, the pods run the same."""
    from tests.cluster import kustomize

    (runtime,) = kustomize.read("serving/runtime/serving-runtime.yaml")
    (shipped,) = runtime["spec"]["containers"]
    own = container(inference_service.build_inference_service(wanted()))

    for field in ("command", "ports", "readinessProbe", "livenessProbe", "resources"):
        text = json.dumps(shipped[field]).replace("{{.Name}}", "taxi")
        assert own[field] == json.loads(text), field
    assert own["securityContext"] == shipped["securityContext"]
    assert own["args"] == [entry.replace("{{.Name}}", "taxi") for entry in shipped["args"]]
    assert (
        inference_service.build_inference_service(wanted())["spec"]["predictor"]["volumes"]
        == (runtime["spec"]["volumes"])
    )


@pytest.mark.parametrize("runtime", ["image", "serving_runtime", "tensorflow"])
def test_a_color_does_not_show_in_the_models_name(runtime: str) -> None:
    service = {"strategy": "blue_green", "runtime": runtime}
    resource = inference_service.build_inference_service(wanted(service), "taxi-blue")

    assert resource["metadata"]["name"] == "taxi-blue"
    predictor = resource["spec"]["predictor"]
    found = predictor.get("model") or container(resource)
    assert {"--name=taxi", "--model_name=taxi"} & set(found["args"])
    assert "taxi-blue" not in json.dumps(predictor)


@pytest.mark.parametrize(
    ("service", "tag"),
    [
        # KServe's own is 2.6.2, which does not know the operations that the export writes.
        ({}, "2.19.1"),
        # KServe appends this itself only where no version is given.
        ({"gpus": 1}, "2.19.1-gpu"),
        ({"runtime_version": "2.20.0-custom", "gpus": 1}, "2.20.0-custom"),
        ({"runtime_name": "our-tensorflow"}, None),
        ({"runtime_name": "our-tensorflow", "runtime_version": "1"}, "1"),
    ],
)
def test_tensorflow_serving_is_new_enough_for_the_model(
    service: dict[str, Any], tag: str | None
) -> None:
    given = wanted({"runtime": "tensorflow", **service})
    model = inference_service.build_inference_service(given)["spec"]["predictor"]["model"]

    assert model.get("runtimeVersion") == tag


@pytest.mark.parametrize(
    ("service", "limit"),
    [
        # KServe fills in its default of 1, and its runtime for TensorFlow Serving has the same.
        ({"cpu": "1"}, None),
        ({"cpu": "1500m"}, "1500m"),
        ({"cpu": "2", "runtime": "tensorflow"}, "2"),
        ({"cpu": "2", "cpu_limit": "3"}, "3"),
        ({"cpu": "2", "runtime": "serving_runtime"}, None),
    ],
)
def test_kserves_default_limit_is_never_below_the_request(
    service: dict[str, Any], limit: str | None
) -> None:
    resource = inference_service.build_inference_service(wanted(service))
    predictor = resource["spec"]["predictor"]
    found = predictor.get("model") or container(resource)

    assert found["resources"]["limits"].get("cpu") == limit


@pytest.mark.parametrize("name", ["taxi", "taxi-green"])
def test_tensorflow_serving_ends_where_a_model_cannot_be_loaded(name: str) -> None:
    """By default it retries for five minutes, and looks as if it were still loading."""
    given = wanted({"runtime": "tensorflow", "strategy": "blue_green"})
    predictor = inference_service.build_inference_service(given, name)["spec"]["predictor"]

    assert "--max_num_load_retries=0" in predictor["model"]["args"]


@pytest.mark.parametrize("runtime", ["image", "serving_runtime", "tensorflow"])
def test_prometheus_is_led_to_metrics_that_there_are(runtime: str) -> None:
    resource = inference_service.build_inference_service(wanted({"runtime": runtime}))

    # TensorFlow Serving answers /metrics with 404 unless it was started with a configuration.
    found = [key for key in resource["metadata"]["annotations"] if "prometheus" in key]
    assert bool(found) == (runtime != "tensorflow")


def test_the_entry_leads_to_pods_as_kserves_own_service_does() -> None:
    def made(given: EndpointSpec) -> dict[str, Any]:
        return inference_service.build_inference_service(given, "taxi-green")

    plain = inference_service.build_entry_service("taxi", made(wanted()))
    logged = wanted({"logger": {"url": "http://sink"}})

    assert plain["spec"]["selector"] == {
        "component": "predictor",
        "serving.kserve.io/inferenceservice": "taxi-green",
    }
    assert plain["spec"]["ports"][0]["targetPort"] == 8080
    assert (
        inference_service.build_entry_service("taxi", made(logged))["spec"]["ports"][0][
            "targetPort"
        ]
        == 9081
    )


@pytest.mark.parametrize("name", ["", "Taxi", "1taxi", "taxi-", "a" * 47, "ta.xi"])
def test_names_that_kserve_would_refuse_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="model_name"):
        inference_service.build_inference_service(wanted(name=name))


@schemas.needed
def test_what_is_rendered_is_what_would_be_made() -> None:
    uri = "minio://mlpipeline/a/model"
    service = {"strategy": "canary", "service_account": "models"}
    options = DeploymentOptions(model_name="taxi", service=service)
    rendered = render_inference_service(options, uri, model_digest=DIGEST, namespace="team")

    assert schemas.problems(rendered) == []
    assert rendered["metadata"].pop("namespace") == "team"
    made = wanted(service, storage_uri="s3://mlpipeline/a/model", schema_digest="")
    assert rendered == inference_service.build_inference_service(made)
    assert rendered["metadata"]["annotations"][names.DIGEST_ANNOTATION] == made.digest
    with pytest.raises(UserError, match=r"deploy-model\.service: unknown key 'strategi'"):
        render_inference_service(DeploymentOptions(service={"strategi": "canary"}), uri)
    with pytest.raises(UserError, match=r"deploy-model\.namespace: expected at most 63"):
        render_inference_service(options, uri, namespace="Team")


@schemas.needed
@pytest.mark.parametrize("runtime", ["image", "serving_runtime"])
def test_a_model_of_kubeflows_registry_is_named_with_the_registrys_host(runtime: str) -> None:
    options = DeploymentOptions(
        model_name="taxi",
        service={"model_registry": True, "runtime": runtime, "public_key_secret": "signing"},
        registered_version="3",
        tracking_uri="model-registry+https://ann:secret@registry.kubeflow:8080/",
    )

    rendered = render_inference_service(options, "s3://models/taxi")

    assert schemas.problems(rendered) == []
    uri = inference_service_spec.storage_uri(rendered)
    assert uri == "model-registry://registry.kubeflow:8080/taxi/3"
    assert ":secret@" not in json.dumps(rendered)
    with pytest.raises(UserError, match="not registered in Kubeflow's Model Registry"):
        render_inference_service(replace(options, registered_version=""), "s3://models/taxi")
    with pytest.raises(UserError, match="not registered in Kubeflow's Model Registry"):
        render_inference_service(
            replace(options, tracking_uri="http://mlflow:5000"), "s3://models/taxi"
        )
