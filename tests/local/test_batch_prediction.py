"""`kfp-tabular predict`: a model's predictions for a file or a folder of data."""

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.command import cli
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.local import batch_prediction

ROWS = "Größe (m),kind,id\n1.5,flat,a\n,house,b\n-0.25,house,c\n"
SLOPE = """
import sys
from tests.components.deployment.tiny_model import make
from pathlib import Path
make(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, made in the environment that has TensorFlow."""
    folder = tmp_path_factory.mktemp("model") / "model"
    python = Environments.find().python(images.TENSORFLOW)
    subprocess.run([str(python), "-c", SLOPE, str(folder)], check=True, capture_output=True)
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["predict", *map(str, arguments)])


def test_a_csv_file_gets_the_columns_and_the_predictions(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(ROWS)
    done = call("--model", model, "--data", data, "--output", tmp_path / "predictions.csv")
    assert done.exit_code == 0, done.exception
    assert "predictions.csv: 3 rows" in done.output
    rows = list(csv.DictReader((tmp_path / "predictions.csv").open()))
    assert list(rows[0]) == [
        *("Größe (m)", "kind", "id", "prediction", "probability_no", "probability_yes")
    ]
    assert [row["prediction"] for row in rows] == ["yes", "yes", "yes"]
    assert float(rows[0]["probability_yes"]) == pytest.approx(0.8175745)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.csv", "rows.csv"]
    printed = call("--model", model, "--data", data)
    assert printed.stdout == (tmp_path / "predictions.csv").read_text()


def test_a_folder_gets_parquet_and_rejected_rows(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(ROWS + "x,flat,d\n")
    output = tmp_path / "out"
    words = ("--model", model, "--data", data, "--output", output, "--key", "id")
    done = call(*words, "--param", "max_rejected_fraction=0.5")
    assert done.exit_code == 0, done.exception
    assert "3 rows, 1 rejected" in done.output
    (shard,) = (output / "predictions").glob("split=predictions/*.parquet")
    assert pq.read_table(shard)["id"].to_pylist() == ["a", "b", "c"]
    (rejected,) = pq.read_table(output / "rejected_rows" / "part-00000.parquet").to_pylist()
    assert (rejected["line"], rejected["text"]) == (5, "x,flat,d")
    assert isinstance(call(*words).exception, UserError)
    again = call(*words, "--overwrite", "--param", "max_rejected_fraction=0.5")
    assert again.exit_code == 0, again.exception


def test_a_row_may_not_be_left_out_of_a_file(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(ROWS + "x,flat,d\n1,flat\n")
    words = ("--model", model, "--data", data, "--output", tmp_path / "p.csv")
    done = call(*words)
    assert isinstance(done.exception, UserError)
    assert "2 of 5 rows (40.0%) were rejected" in str(done.exception)
    assert f"{data} line" in str(done.exception)
    assert not (tmp_path / "p.csv").exists()
    done = call(*words, "--rejected", tmp_path / "rejected")
    assert done.exit_code == 0, done.exception
    rejected = pq.read_table(tmp_path / "rejected" / "part-00000.parquet")
    assert rejected["line"].to_pylist() == [5, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "nowhere"), "--model nowhere: not found"),
        (("--model", "{tmp}"), "no summary.json of a run here"),
        (("--data", "{tmp}/none.csv"), "none.csv: not found"),
        (("--data", ""), "--data: the value is empty"),
        (("--param", "key_column=a"), "predict has no such option. Did you mean 'key_columns' or"),
        (("--param", "write_csv=perhaps"), "--param: parameter 'write_csv': expected"),
        (("--processing", "sparks"), "Did you mean 'spark'?"),
    ],
)
def test_bad_input_is_one_line(
    model: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    given = {"--model": str(model), "--data": str(tmp_path / "rows.csv")}
    words: list[Any] = [word for pair in given.items() for word in pair]
    done = call(*words, *(word.replace("{tmp}", str(tmp_path)) for word in arguments))
    assert message in f"{done.exception} {done.output}"
    assert done.exit_code != 0


def test_a_failure_of_the_process_is_not_the_users(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_prediction, "_MODULE", "kfp_tabular.no_such_module")
    outputs = batch_prediction.Outputs(tmp_path / "a", tmp_path / "b")
    with pytest.raises(RuntimeError, match="no_such_module"):
        batch_prediction.predict({"model": str(model), "data_uri": "x"}, outputs, print)


def test_the_result_is_a_document(model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    told: list[str] = []
    options = {"model": str(model), "data_uri": str(tmp_path / "rows.csv")}
    outputs = batch_prediction.Outputs(tmp_path / "a", tmp_path / "b")
    found = batch_prediction.predict(options, outputs, told.append)
    assert found["facts"]["classes"] == {"yes": 3}
    assert "3 of 3 rows predicted" in told[-1]
    assert json.dumps(found)
