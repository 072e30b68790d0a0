"""Contract tests on what the project uses of a package beyond its documented interface."""

import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def seam(package: str, what: str, *, user: str) -> Iterator[None]:
    """Fail with the package and its version if the block finds a changed private interface.

    Args:
        package: The distribution, as named in the lock file; or `Python`.
        what: The private or undocumented interface.
        user: The module that relies on it.
    """
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
        if package == "Python":
            version = platform.python_version()
        else:
            version = importlib.metadata.version(package)
        pytest.fail(
            f"{package} {version} changed {what}, which {user} relies on. See "
            f"docs/private-seams.md. Found: {type(error).__name__}: {error}"
        )
