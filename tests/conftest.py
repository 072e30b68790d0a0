"""Fixtures and rules for the whole suite."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT

REFERENCE_DATA = "KFP_TABULAR_REFERENCE_DATA"

os.environ.update(ENVIRONMENT)
# Tests run tasks; those of the cache name a folder for it.
os.environ["KFP_TABULAR_CACHE"] = "off"

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
