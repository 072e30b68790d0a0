"""Fixtures of the engines whose results are compared; each is opened once for a module."""

from collections.abc import Iterator

import pytest

from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from tests.beam_services import Services
from tests.spark_cluster import Cluster


@pytest.fixture(scope="module")
def threads() -> Engine:
    return LocalEngine(2)


@pytest.fixture(scope="module")
def beam(beam_services: Services) -> Iterator[Engine]:
    """Beam's portable job service with external workers."""
    with engines.opened(beam_services.document()) as opened:
        yield opened.engine


@pytest.fixture(scope="module")
def spark(cluster: Cluster) -> Iterator[Engine]:
    """Spark on one master and two workers."""
    with engines.opened(cluster.document()) as opened:
        yield opened.engine


@pytest.fixture(params=["threads", "beam", "spark"])
def any_engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found
