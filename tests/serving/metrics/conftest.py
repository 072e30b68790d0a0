"""Metrics of a process."""

import prometheus_client
import pytest

from kfp_tabular.serving.metrics.instruments import Metrics


@pytest.fixture
def metrics():
    return Metrics(prometheus_client.CollectorRegistry())
