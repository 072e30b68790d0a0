"""An ingestion on a Spark cluster: the same rows in the same splits as on one machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions, SplitOptions
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from tests.spark_cluster import Cluster


@pytest.fixture(scope="module")
def spark(cluster: Cluster) -> Iterator[Engine]:
    """Spark on one master and two workers, each a process of its own."""
    with engines.opened(cluster.document(), "ingest-data") as opened:
        yield opened.engine


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Quoted line ends, a mark, blank lines at the end, and rows with too many fields."""
    rows = [
        f'{number},"line {number % 7}\r\nand ""another""",{number * 7 % 101}.5,{number % 2}'
        + (",9" if number % 501 == 500 else "")
        for number in range(4_000)
    ]
    text = "\r\n".join(["id,note,amount,label", *rows])
    file = tmp_path / "data.csv"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 4_000)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    monkeypatch.setattr(source_pieces, "_SMALLEST", 20_000)
    return file


def outputs(data: Path, folder: Path, engine: Engine | None, **given: Any) -> dict[str, Any]:
    split = SplitOptions(
        **{name: given.pop(name) for name in list(given) if name.startswith("split")}
    )
    request = ingest.IngestionRequest(
        IngestionOptions(str(data), label="label", split=split, **given),
        folder / "examples",
        folder / "rejected",
        folder / "summary.md",
    )
    ingest.run(request, engine)
    found: dict[str, Any] = {
        split: [row for file in shards for row in pq.read_table(file.uri).to_pylist()]
        for split, shards in Examples(folder / "examples").shards.items()
    }
    found["rejected"] = pq.read_table(folder / "rejected" / "part-00000.parquet").to_pylist()
    for name in ("_columns.json", "_findings.json"):
        found[name] = (folder / "examples" / name).read_text()
    return found


@pytest.mark.parametrize(
    "given",
    [{}, {"split_method": "row"}, {"split_method": "time", "split_column": "amount"}],
    ids=["chosen", "row", "time"],
)
def test_equal_to_one_machine(
    spark: Engine, data: Path, tmp_path: Path, given: dict[str, Any]
) -> None:
    here = outputs(data, tmp_path / "here", None, **given)
    spread = outputs(data, tmp_path / "spread", spark, **given)
    assert spread == here
    assert len(here["rejected"]) == 7
    assert len(list((tmp_path / "spread" / "examples" / "split=train").iterdir())) > 5


def test_bad_input_is_one_line_and_leaves_nothing(
    spark: Engine, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="not a time"):
        outputs(data, tmp_path / "bad", spark, split_method="time", split_column="note")
    assert not (tmp_path / "bad" / "examples").exists()
