"""Stores and runs to record."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.tracking.record import Curve, RunToRecord, Trial
from tests import tracking_server


@pytest.fixture
def run(tmp_path: Path) -> RunToRecord:
    """A run with one of everything."""
    page = tmp_path / "report"
    page.write_text("<!doctype html><title>Training</title>", encoding="utf-8")
    return RunToRecord(
        key="training-2026-11-30-12-00-00-000001",
        experiment="fraud",
        name="training-2026-11-30",
        started=1_796_000_000.0,
        ended=1_796_000_060.0,
        status="FINISHED",
        parameters={"data_uri": "rows.csv", "epochs": 3, "exclude": ["id"]},
        metrics={"auc": 0.95, "auc.low": 0.91, "auc.high": 0.97},
        curves=(Curve("train_loss", ((10, 0.5), (20, 0.25), (30, 0.125))),),
        tags={"digest.data": "sha256:0a", "digest.schema": "sha256:0b", "version.python": "3.13"},
        files={"pages/train-model.html": page},
        trials=(
            Trial(0, {"learning_rate": 0.1}, {"eval_auc": 0.9}),
            Trial(1, {"learning_rate": 9.0}, {}, "FAILED"),
        ),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tracking_server.Server]:
    """A real MLflow server on loopback; skipped where its environment was not made."""
    with tracking_server.running(tmp_path_factory.mktemp("server")) as found:
        yield found
