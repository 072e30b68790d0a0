"""The text at /metrics, in both formats."""

import prometheus_client
import pytest

from kfp_tabular.serving.metrics.exposition import render_metrics


def test_the_librarys_own_metrics_are_exposed_in_both_formats(metrics):
    registries = [metrics.registry, prometheus_client.REGISTRY]
    body, content_type = render_metrics(registries, "")
    assert "process_resident_memory_bytes" in body.decode()
    assert content_type.startswith("text/plain")
    body, content_type = render_metrics(registries, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.decode().count("# EOF") == 1


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=1.0.0a",
        "application/openmetrics-text; version=1.0.0.a",
        "application/openmetrics-text; version=2.b",
        f"application/openmetrics-text; version={'9' * 5000}",
        "text/plain; version=x",
        "text/plain; version=1.0.0.é; escaping=é",
        ";=;,,=",
    ],
)
def test_an_invalid_accept_header_selects_the_default_format(metrics, accept):
    body, content_type = render_metrics([metrics.registry], accept)
    assert b'kfp_tabular_overloads_total{bound="rows"} 0.0' in body
    assert content_type.startswith(("text/plain", "application/openmetrics-text"))
