"""Fixtures of the tests of pipelines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.kubeflow.pipelines_server import PipelinesServer, running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PipelinesServer]:
    """A Kubeflow Pipelines server, polled without a pause."""
    from kfp_tabular.pipelines.kubeflow import following

    # The SDK reads a context that an earlier login may have left.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.0)
    with running() as state:
        yield state
