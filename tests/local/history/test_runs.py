"""`kfp-tabular runs`: the list, the comparison, the best, and the leaderboard."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.command import cli
from kfp_tabular.pipelines.local import row_prediction, run_folder
from kfp_tabular.pipelines.local.history import run_entry
from kfp_tabular.pipelines.local.run_results import load_run

SPEC = """
pipelineInfo: {name: kfp-tabular-training}
root: {dag: {tasks: {}}}
components: {}
"""


def make(runs: Path, name: str, **changes: Any) -> Path:
    folder = runs / name
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "kfp.log").touch()
    (folder / "pipeline.yaml").write_text(SPEC)
    summary = {
        "pipeline": "training",
        "status": "succeeded",
        "started": 1_700_000_000.0,
        "seconds": 30.2,
        "tasks": [{"name": "ingest-data", "status": "cached"}],
        "metrics": {"auc": 0.9, "log_loss": 0.2, "bias": 1.0},
        "blessed": True,
        "model": None,
        "report": str(folder / "report.html"),
        "parameters": {"data_uri": "/data/churn.csv", "label": "churned", "epochs": 5},
        **changes,
    }
    if summary["status"] != "killed":
        (folder / "summary.json").write_text(json.dumps(summary))
        (folder / "report.html").write_text("<p>run</p>")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    made = tmp_path / "runs"
    make(made, "a <first>")
    better = {"auc": 0.95, "log_loss": 0.25, "bias": 2.0}
    parameters = {"data_uri": "/data/churn.csv", "label": "churned", "epochs": 9, "seed": 3}
    make(made, "b", started=1_700_000_900.0, metrics=better, parameters=parameters, blessed=False)
    make(made, "c", started=1_700_001_900.0, status="failed", metrics={}, blessed=None)
    make(made, "d", status="killed")
    (made / "notes").mkdir()
    (made / "notes.txt").write_text("mine")
    return made


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["runs", *map(str, arguments)])


def test_the_list_has_the_latest_first(runs: Path) -> None:
    lines = call("list", runs).output.splitlines()
    assert lines[0].split() == [
        *("run", "status", "data", "label", "metric", "blessed", "took", "started")
    ]
    assert [line.split()[0] for line in lines[1:]] == ["d", "c", "b", "a"]
    assert lines[1].split()[1] == "stopped"
    assert "churn.csv  churned  auc 0.9500  no       30 s" in lines[3]


def test_the_list_as_json(runs: Path) -> None:
    listed = json.loads(call("list", runs, "--json").output)
    latest = listed[2]
    assert (latest["name"], latest["status"], latest["key_metric"]) == ("b", "succeeded", "auc")
    assert (latest["data"], latest["label"], latest["cached"]) == ("churn.csv", "churned", 1)


def test_a_run_that_goes_on_is_running(runs: Path) -> None:
    with run_folder.locked(runs / "d"):
        assert run_entry.read(runs / "d").status == "running"
    assert run_entry.read(runs / "d").status == "stopped"


def test_the_leaderboard_has_the_best_first(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "board.html"
    done = call("list", runs, "--html", page)
    assert done.exit_code == 0
    text = page.read_text()
    assert text.index(">b</a>") < text.index("a &lt;first&gt;</a>")
    assert "href='runs/b/report.html'" in text
    assert "runs/a%20%3Cfirst%3E/report.html" in text
    assert "epochs=9, seed=3" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_comparison_says_what_is_better(runs: Path) -> None:
    output = call("compare", runs / "a <first>", runs / "b").output
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines()[1:]}
    assert rows["epochs"] == ["5", "9"]
    assert rows["seed"] == ["-", "3"]
    assert rows["auc"] == ["0.9000", "0.9500", "▲", "+0.0500", "better"]
    assert rows["log_loss"] == ["0.2000", "0.2500", "▲", "+0.0500", "worse"]
    assert rows["bias"] == ["1.0000", "2.0000", "▲", "+1.0000"]
    document = json.loads(call("compare", runs / "a <first>", runs / "b", "--json").output)
    assert [entry["name"] for entry in document["parameters"]] == ["epochs", "seed"]
    assert [entry["better"] for entry in document["metrics"]] == [True, False, None]


def test_the_best_run(runs: Path) -> None:
    assert call("best", runs).output == f"{runs}/b  auc 0.9500\n"
    assert (
        call("best", runs, "--metric", "log_loss").output == f"{runs}/a <first>  log_loss 0.2000\n"
    )
    assert json.loads(call("best", runs, "--json").output)["name"] == "b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "nowhere"), "nowhere: there is no such folder"),
        (("compare", "{runs}/notes", "{runs}/b"), "notes: not the folder of a run"),
        (("best", "{runs}", "--metric", "acu"), "Did you mean 'auc'"),
        (("best", "{runs}", "--metric", "bias"), "neither high nor low is better"),
        (("best", "{runs}/c"), "no metrics"),
    ],
)
def test_bad_input_is_one_line(runs: Path, arguments: tuple[str, ...], message: str) -> None:
    done = call(*(argument.replace("{runs}", str(runs)) for argument in arguments))
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_a_run_without_a_model_is_named(runs: Path) -> None:
    failed = load_run(runs / "c")
    assert failed.status == "failed"
    with pytest.raises(UserError, match=r"this run \(failed\) has no model"):
        _ = failed.model_path
    with pytest.raises(UserError, match="this run has no examples"):
        failed.examples()
    with pytest.raises(UserError, match="no summary.json"):
        load_run(runs / "d")


def test_data_of_the_same_name_are_different_data(runs: Path, tmp_path: Path) -> None:
    other = {"data_uri": "/other/churn.csv", "label": "churned"}
    make(runs, "e", parameters=other, metrics={"auc": 0.99, "rmse": 21_000.25})
    page = tmp_path / "board.html"
    call("list", runs, "--html", page)
    text = page.read_text()
    assert "<h2>/other/churn.csv, label churned" in text
    assert "<h2>/data/churn.csv, label churned" in text
    assert ">21,000<" in text
    best = call("best", runs)
    assert "e  auc 0.9900" in best.output
    assert "runs on different data or labels" in best.output
    assert "data or label differ" in call("compare", runs / "b", runs / "e").output


def test_the_model_is_that_of_the_run(runs: Path) -> None:
    """Also after the folder was moved and another run took its place."""
    folder = make(runs, "e", model=str(runs / "e" / "models" / "m" / "1"))
    (folder / "models" / "m" / "1").mkdir(parents=True)
    moved = folder.rename(runs / "moved")
    again = make(runs, "e", model=str(runs / "e" / "models" / "m" / "1"))
    (again / "models" / "m" / "1").mkdir(parents=True)
    assert load_run(moved).model_path == moved / "models" / "m" / "1"
    assert load_run(again).model_path == again / "models" / "m" / "1"


def test_a_model_elsewhere_is_named(runs: Path) -> None:
    with pytest.raises(UserError, match="s3://models/m/1: the model is not on this machine"):
        _ = load_run(make(runs, "e", model="s3://models/m/1")).model_path


def test_a_column_that_is_not_there_is_a_warning(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(make(runs, "e", model=str(runs / "e" / "models")))
    monkeypatch.setattr(row_prediction, "absent_features", lambda *_: ["age", "city"])
    monkeypatch.setattr(row_prediction, "has_tensorflow", lambda: False)
    monkeypatch.setattr(row_prediction, "predict", lambda _, table: table)
    with pytest.warns(UserWarning, match="no column 'age', 'city', so it counts as missing"):
        assert run.predict({"a": [1]}).to_pydict() == {"a": [1]}


def test_the_model_of_a_moved_run_is_found(runs: Path) -> None:
    folder = make(runs, "e", model=str(runs / "e" / "models" / "m" / "1"))
    (folder / "models" / "m" / "1").mkdir(parents=True)
    moved = folder.rename(runs / "moved")
    assert load_run(moved).model_path == moved / "models" / "m" / "1"
