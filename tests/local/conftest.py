"""Runs of the tests share the interpreters that each of them would load."""

import os
from collections.abc import Iterator

import pytest

from kfp_tabular.pipelines.environments.location import VARIABLE, default_folder
from tests import shared_interpreters


@pytest.fixture(scope="session")
def shared_environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder of environments; their interpreters are loaded once in a session."""
    folder = tmp_path_factory.mktemp("interpreters")
    with shared_interpreters.environments(default_folder().resolve(), folder) as found:
        yield str(found)


@pytest.fixture(scope="module", autouse=True)
def environments(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs get these environments; but each of a module with OWN_INTERPRETERS loads its own."""
    if getattr(request.module, "OWN_INTERPRETERS", False):
        yield
        return
    given = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = request.getfixturevalue("shared_environments")
    yield
    if given is None:
        del os.environ[VARIABLE]
    else:
        os.environ[VARIABLE] = given
