"""Models to predict with, and batch predictions of small data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.batch_prediction import predict
from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions
from kfp_tabular.components.batch_prediction.predict import BatchPredictionRequest
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from tests.components.batch_prediction.scored_model import Endpoint, make


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary model."""
    return make(tmp_path_factory.mktemp("scored") / "model")


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A regression model."""
    return make(tmp_path_factory.mktemp("scored") / "model", "regression")


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary model whose graph computes, and does no more."""
    return make(tmp_path_factory.mktemp("scored") / "model", refuses=False)


@pytest.fixture(scope="session")
def endpoint(model: Path) -> Endpoint:
    """The endpoint of the binary model."""
    return Endpoint(model)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Set the sizes of blocks and pieces of CSV, in bytes."""

    def cut(block: int, piece: int) -> None:
        monkeypatch.setattr(csv_source, "BLOCK_BYTES", block)
        monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
        monkeypatch.setattr(source_pieces, "_SMALLEST", piece)
        monkeypatch.setattr(source_pieces, "_LARGEST", piece)

    return cut


def request(
    data: Path | str, model: Path | str, folder: Path, **given: Any
) -> BatchPredictionRequest:
    """A request; one that rejects rows does not fail by default."""
    from kfp_tabular.components.common import options

    arguments = {"max_rejected_fraction": 1.0, **given, "data_uri": str(data), "model": str(model)}
    return BatchPredictionRequest(
        options.build(BatchPredictionOptions, arguments),
        folder / "predictions",
        folder / "rejected_rows",
        folder / "report.html",
    )


def predicted(
    data: Path | str,
    model: Path | str,
    folder: Path,
    engine: Engine | None = None,
    shards_uri: str = "",
    **given: Any,
) -> dict[str, Any]:
    """Predict, and return the rows that were written, in order."""
    result = predict.run(request(data, model, folder, **given), engine, shards_uri)
    return outputs(folder) | {"facts": result.facts, "result": result}


def outputs(folder: Path) -> dict[str, Any]:
    """Return what was written."""
    batches = Examples(folder / "predictions").batches("predictions")
    return {
        "rows": [row for batch in batches for row in batch.to_pylist()],
        "rejected": pq.read_table(folder / "rejected_rows" / "part-00000.parquet").to_pylist(),
        "findings": (folder / "predictions" / "_findings.json").read_text(),
    }
