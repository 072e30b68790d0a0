from pathlib import Path

import pyarrow as pa
import pytest
from kfp import dsl

from kfp_tabular.components.feature_engineering.component import transform_features

from .conftest import schema_of, write_examples, write_schema


@pytest.fixture
def artifacts(tmp_path):
    table = pa.table({"x": [0.5, 1.5, 2.5, 4.0] * 10, "y": ["no", "no", "yes", "yes"] * 10})
    out = tmp_path / "out"
    examples = write_examples(tmp_path / "examples", {"train": table, "eval": table.slice(0, 8)})
    return {
        "examples": dsl.Dataset(uri=str(examples)),
        "schema": dsl.Artifact(uri=str(write_schema(tmp_path / "schema", schema_of(table)))),
        "transform_graph": dsl.Artifact(uri=str(out / "a" / "transform_graph")),
        "transformed_examples": dsl.Dataset(uri=str(out / "b" / "transformed_examples")),
        "summary": dsl.Markdown(uri=str(out / "c" / "summary")),
    }


def test_artifacts_carry_their_lineage(artifacts):
    # KFP hands numbers in dictionaries over as floats.
    transform_features.python_func(**artifacts, label="y", feature_config={"x": {"buckets": 2.0}})
    written = artifacts["transformed_examples"].metadata
    assert written["rows"] == {"train": 40, "eval": 8}
    assert set(written["inputs"]) == {"examples", "transform_graph"}
    assert artifacts["transform_graph"].metadata["digest"].startswith("sha256:")
    assert artifacts["transform_graph"].metadata["inputs"]["examples"].startswith("sha256:")
    assert "buckets: 2" in Path(artifacts["summary"].path).read_text()


def test_bad_input_is_one_line_and_exit_code_2(artifacts, caplog):
    with pytest.raises(SystemExit) as ended:
        transform_features.python_func(**artifacts, label="why")
    assert ended.value.code == 2
    assert "label: the data have no column 'why'" in caplog.text
    assert not Path(artifacts["transform_graph"].path).exists()
