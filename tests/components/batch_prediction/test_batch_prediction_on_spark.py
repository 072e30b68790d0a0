"""A batch prediction on a Spark cluster, from and to a store: the rows of one machine."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.storage import Folder, upload
from tests import spark_cluster
from tests.components.batch_prediction.conftest import predicted
from tests.components.batch_prediction.test_predict import as_csv, some_rows
from tests.components.test_store_faults_on_spark import LimitedEngine, environment
from tests.deadly_engine import DeadlyEngine
from tests.servers import busy_store
from tests.servers.stores import s3  # noqa: F401 - a fixture
from tests.spark_cluster import Cluster

BASELINE = {"amount": 10, "kind": "flat", "rooms": 1, "sold on": "01/01/2024"}

DRIVER = """
import json, sys
from pathlib import Path
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from tests.components.batch_prediction.conftest import predicted
from tests.components.test_store_faults_on_spark import Slow

csv_source.BLOCK_BYTES, csv_source._BYTES_PER_COLUMN = 4_000, 0
source_pieces._SMALLEST = source_pieces._LARGEST = 12_000
data, model, folder, shards, document = sys.argv[1:]
with engines.opened(json.loads(document)) as opened:
    predicted(data, model, Path(folder), Slow(opened.engine), shards)
"""
"""Predicts, and waits after each piece."""


def test_faults(
    cluster: Cluster,
    small_pieces,
    s3: str,  # noqa: F811
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The driver is killed; the retry loses an executor while the store is busy for ten seconds."""
    small_pieces(4_000, 12_000)
    root = f"{s3}/{tmp_path.name}"
    (tmp_path / "rows.csv").write_text(as_csv(some_rows(3_000)))
    upload(tmp_path / "rows.csv", f"{root}/rows.csv")
    data, shards = f"{root}/rows.csv", f"{root}/shards"
    here = predicted(data, model, tmp_path / "here")
    document = cluster.document(conf=environment(), attempts=8, cores=2, executor_cores=1)
    arguments = [data, str(model), str(tmp_path / "there"), shards, json.dumps(document)]

    def has_two_pieces() -> bool:
        return len([name for name in Folder(shards).list() if "_pieces/" in name]) >= 2

    spark_cluster.kill_driver(cluster, DRIVER, arguments, has_two_pieces)
    assert not (tmp_path / "there" / "predictions").exists()

    with busy_store.running(os.environ["AWS_ENDPOINT_URL"], seconds=10.0) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        document = cluster.document(conf=environment(), attempts=8, cores=2, executor_cores=1)
        with engines.opened(document) as opened:
            deadly = DeadlyEngine(opened.engine, tmp_path / "deaths")
            there = predicted(data, model, tmp_path / "there", deadly, shards)
            assert proxy.refused > 0
            assert deadly.killed > 0
            assert there["result"].pieces > there["result"].earlier >= 2
            for name in ("rows", "rejected", "findings", "facts"):
                assert there[name] == here[name]
            # The shards and the manifest, and no record of a piece.
            assert {name.split("/")[1] for name in Folder(shards).list()} == {
                "_manifest.json",
                "split=predictions",
            }

            with pytest.raises(UserError, match="max_rejected_fraction"):
                predicted(data, model, tmp_path / "bad", opened.engine, max_rejected_fraction=0.0)

            damaged = damaged_parquet(tmp_path / "damaged.parquet")
            upload(damaged, f"{root}/damaged.parquet")
            with pytest.raises(UserError, match=f"^{root}/damaged.parquet: ") as error:
                predicted(f"{root}/damaged.parquet", model, tmp_path / "damaged", opened.engine)
            assert "\n" not in str(error.value)

            limited = LimitedEngine(opened.engine, "worker-1")
            full = predicted(data, model, tmp_path / "full", limited, f"{root}/full")
            assert (full["rows"], full["result"].earlier) == (here["rows"], 0)

            few = tmp_path / "few.csv"
            few.write_text(as_csv(some_rows(200)))
            upload(few, f"{root}/few.csv")
            given = {"attributions": True, "attribution_baseline": BASELINE}
            local = predicted(f"{root}/few.csv", model, tmp_path / "few-here", **given)
            spread = predicted(
                f"{root}/few.csv", model, tmp_path / "few-there", opened.engine, **given
            )
            assert spread["rows"] == local["rows"]
            assert any(row["attribution_amount"] for row in local["rows"])


def damaged_parquet(path: Path) -> Path:
    """Write a Parquet file whose footer is whole, and its pages are not."""
    names = {"kind": "flat", "rooms": 3, "sold on": "31/12/2023"}
    others = {name: [value] * 5_000 for name, value in names.items()}
    table = pa.table({"amount": [at * 0.5 for at in range(5_000)], **others})
    pq.write_table(table, path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[200:1_200] = b"\xff" * 1_000
    path.write_bytes(content)
    return path
