"""Server processes to attack."""

import re
import shutil

import pytest

from tests.serving.attack.served import Served


@pytest.fixture(scope="module")
def repository(tmp_path_factory, model_directory):
    """Return a repository directory with version 7 of a small binary model, named `fraud`."""
    directory = tmp_path_factory.mktemp("repository") / "fraud"
    shutil.copytree(model_directory("binary"), directory / "7")
    return directory


@pytest.fixture(scope="module")
def attacked(repository, start_for_module):
    """Return a function that starts a server of `repository` with flags, and waits for it.

    Flags given again win: `attacked("--workers", 2)`, `attacked("--grpc-port", "off")`.
    Environment variables are keywords.
    """

    def get(*flags, **environment) -> Served:
        texts = [str(flag) for flag in flags]
        workers = int(texts[texts.index("--workers") + 1]) if "--workers" in texts else 1
        process = start_for_module(
            *("--model", repository, "--port", 0, "--grpc-port", 0), *texts, **environment
        )
        return Served(process.ready(times=workers))

    return get


@pytest.fixture(scope="module")
def server(attacked):
    """Return a server with the default settings. Tests must leave it as they found it."""
    served = attacked()
    yield served
    assert served.process.child.poll() is None, served.log
    assert not re.search(r"Traceback", served.log), served.log
