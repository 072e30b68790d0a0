"""What tests of images need: an engine that answers, and images that are built."""

import os
import subprocess
from collections.abc import Sequence

import pytest

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local.containers.engine import Engine

VARIABLE = "KFP_TABULAR_TEST_IMAGES"
ARBITRARY_USER = "61616:61616"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the images: `make images-test` runs it, the suite `author` the rest."""
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.images)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """An engine with the project's images; the test is skipped where they are not asked for."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is unset; make images-test builds the images and sets it")
    try:
        found = Engine.find()
    except UserError as error:
        pytest.fail(str(error))
    for image in (images.TENSORFLOW, images.TFDV, images.LAUNCHER, images.SERVING):
        command = [found.program, "image", "inspect", image]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, f"{image} is not built"
    return found


def run_in(
    engine: Engine, image: str, command: Sequence[str], *options: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command as a user that no image knows, without network, on a root it cannot write."""
    first, *rest = command
    arguments = [
        "--rm",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp",
        f"--user={ARBITRARY_USER}",
    ]
    return subprocess.run(
        [engine.program, "run", *arguments, *options, f"--entrypoint={first}", image, *rest],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
