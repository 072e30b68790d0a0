"""Fixtures and rules for the whole suite."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
from kfp_tabular.components.common.processing.beam import installation

REFERENCE_DATA = "KFP_TABULAR_REFERENCE_DATA"

os.environ.update(ENVIRONMENT)
# A module that imports Beam may be collected before a test opens the engine.
os.environ.update(installation.ENVIRONMENT)
# Tests run tasks; those of the cache name a folder for it.
os.environ["KFP_TABULAR_CACHE"] = "off"
# Those of tracking name a store.
os.environ["MLFLOW_TRACKING_URI"] = "none"

if TYPE_CHECKING:
    from tests.beam_services import Services
    from tests.spark_cluster import Cluster

# A shell that starts the tests in the background lets them, and what they start, ignore ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine must not fail a test.
settings.register_profile("default-without-deadline", deadline=None)
settings.load_profile("default-without-deadline")


@pytest.fixture(scope="session")
def chicago_taxi() -> Path:
    """The reference data set; the test is skipped where it is not at hand."""
    folder = os.environ.get(REFERENCE_DATA)
    if not folder:
        pytest.skip(f"{REFERENCE_DATA} is unset")
    return Path(folder) / "chicago_taxi.csv"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cluster]":
    """A standalone Spark: one master and two workers; the test is skipped where it cannot run."""
    from tests import spark_cluster

    spark_cluster.require()
    folder = tmp_path_factory.mktemp("cluster")
    with spark_cluster.running(folder) as found:
        yield found
    assert spark_cluster.leftover(folder) == []


@pytest.fixture(scope="session")
def beam_services(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Services]":
    """Beam's portable job service and a pool of external workers, as processes of their own."""
    from tests import beam_services

    with beam_services.running(tmp_path_factory.mktemp("beam")) as found:
        yield found
