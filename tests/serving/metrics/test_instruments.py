"""Labels come from fixed sets and from the model, never from a client."""

import re

import prometheus_client

from kfp_tabular.serving.metrics.instruments import MOST_CLASSES, Metrics, ModelIdentity
from tests.serving.metrics.metric_samples import SECRET, SERVED, exposed, of, samples


def test_nothing_is_registered_globally():
    before = set(prometheus_client.REGISTRY._collector_to_names)
    Metrics(prometheus_client.CollectorRegistry())
    Metrics(prometheus_client.CollectorRegistry())
    assert set(prometheus_client.REGISTRY._collector_to_names) == before


def test_predictions_are_counted_by_the_models_classes_only(metrics):
    metrics.set_served_version(SERVED, 1.5)
    assert of(metrics)["kfp_tabular_predictions_total", "fraud", "ja"] == 0
    metrics.count_predictions("fraud", [b"ja", b"no", b"ja", b"\xff\xfe", SECRET.encode()], 5)
    found = of(metrics)
    assert found["kfp_tabular_predictions_total", "fraud", "ja"] == 2
    assert found["kfp_tabular_predictions_total", "fraud", "no"] == 1
    assert found["kfp_tabular_predictions_total", "fraud", "other"] == 2
    assert SECRET not in exposed(metrics)


def test_a_model_with_many_classes_has_a_limited_number_of_series(metrics):
    classes = tuple(f"c{n}" for n in range(5000))
    metrics.set_served_version(ModelIdentity("m", "1", "multiclass", "", (), classes), 1)
    metrics.count_predictions("m", [name.encode() for name in classes], 5000)
    counted = [key for key in of(metrics) if key[0] == "kfp_tabular_predictions_total"]
    assert len(counted) == MOST_CLASSES + 1
    assert of(metrics)["kfp_tabular_predictions_total", "m", "other"] == 5000 - MOST_CLASSES


def test_predictions_of_a_regression_model_are_counted_together(metrics):
    metrics.set_served_version(ModelIdentity("m", "", "regression", "", ("a",), ()), 1)
    metrics.count_predictions("m", None, 12)
    assert of(metrics)["kfp_tabular_predictions_total", "m", "value"] == 12


def test_rejections_are_labelled_with_the_models_features_only(metrics):
    metrics.set_served_version(SERVED, 1)
    metrics.count_rejection("fraud", "商户", "missing")
    metrics.count_rejection("fraud", SECRET, "unknown")
    metrics.count_rejection("fraud", None, "malformed")
    metrics.count_rejection(SECRET, None, SECRET)
    metrics.count_out_of_domain("fraud", "amount", 3)
    metrics.count_out_of_domain("fraud", SECRET, 1)
    found = of(metrics)
    assert found["kfp_tabular_rejections_total", "fraud", "商户", "missing"] == 1
    assert found["kfp_tabular_rejections_total", "fraud", "other", "unknown"] == 1
    assert found["kfp_tabular_rejections_total", "fraud", "", "malformed"] == 1
    assert found["kfp_tabular_rejections_total", "other", "", "other"] == 1
    assert found["kfp_tabular_out_of_domain_total", "fraud", "amount"] == 3
    assert SECRET not in exposed(metrics)


def test_only_the_served_version_is_exposed(metrics):
    metrics.set_served_version(SERVED, 1.5)
    metrics.count_failed_load("fraud")
    metrics.set_served_version(
        ModelIdentity("fraud", "8", "binary", "sha256:2", (), ("no", "ja")), 2.5
    )
    text = exposed(metrics)
    found = samples(text)
    assert re.findall(r'model_info\{.*version="(.*?)"', text) == ["8"]
    assert found["kfp_tabular_model_load_seconds", "fraud"] == 2.5
    assert found["kfp_tabular_model_loaded_timestamp_seconds", "fraud"] > 1.7e9
    assert found["kfp_tabular_model_loads_total", "fraud", "success"] == 2
    assert found["kfp_tabular_model_loads_total", "fraud", "failure"] == 1


def test_a_version_that_is_served_again_is_exposed_again(metrics):
    other = ModelIdentity("fraud", "8", "binary", "", (), ())
    for served in (SERVED, other, SERVED, SERVED):
        metrics.set_served_version(served, 1)
    assert re.findall(r'model_info\{.*version="(.*?)"', exposed(metrics)) == ["7"]


def test_batches_requests_and_keys_are_counted(metrics):
    metrics.observe_rows("v1", 3)
    metrics.observe_call(7, 2)
    metrics.count_overload()
    metrics.count_admission("web", "grpc")
    metrics.count_denial("missing", "v2")
    found = of(metrics)
    assert found["kfp_tabular_request_rows_sum", "v1"] == 3
    assert found["kfp_tabular_batch_rows_sum",] == 7
    assert found["kfp_tabular_batch_requests_sum",] == 2
    assert found["kfp_tabular_overloads_total", "rows"] == 1
    assert found["kfp_tabular_authenticated_requests_total", "grpc", "web"] == 1
    assert found["kfp_tabular_authentication_failures_total", "v2", "missing"] == 1
