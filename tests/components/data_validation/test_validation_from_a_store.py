"""A validation on a Spark cluster whose executors see nothing but an object store.

Apart from `test_validation_on_spark`, because a process has one Spark at a time.
"""

import os
from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples, remote_examples
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.statistics import statistics_files
from kfp_tabular.components.common.storage import Folder, upload
from tests.accumulator_laws import RELATIVE, assert_same
from tests.components.data_validation.test_validation_on_spark import (
    examples,  # noqa: F401 - a fixture
    outputs,
    plain,
)
from tests.servers.stores import s3  # noqa: F401 - a fixture
from tests.spark_cluster import Cluster


def test_shards_in_a_store(
    cluster: Cluster,
    s3: str,  # noqa: F811
    examples: Examples,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Executors read the store; there is no other folder that both they and the driver know."""
    here = outputs(examples, tmp_path / "here", None)
    uri = f"{s3}/{tmp_path.name}/examples"
    upload(examples.path, uri)
    monkeypatch.chdir(tmp_path)
    # The working directory of the process that asks: the executors' is another one.
    there = Path("/proc/self/cwd")
    remote_examples.stage(Folder(uri), there / "staged")
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 200)
    conf = {
        f"spark.executorEnv.{name}": value
        for name, value in os.environ.items()
        if name.startswith("AWS_")
    }
    with engines.opened(cluster.document(conf=conf), "validate-data") as opened:
        outputs(Examples(there / "staged"), there / "spread", opened.engine)

    assert [file.name for file in (tmp_path / "staged").rglob("*.*")] == ["_manifest.json"]
    for file in ("schema/schema.pbtxt", "anomalies/anomalies.json"):
        assert (tmp_path / "spread" / file).read_bytes() == (here / file).read_bytes(), file
    expected = statistics_files.read(here / "statistics")
    for split, found in statistics_files.read(tmp_path / "spread" / "statistics").items():
        assert_same(plain(found), plain(expected[split]), RELATIVE)
