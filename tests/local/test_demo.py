"""The demo replaces an earlier demo, and nothing else."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local import demo
from kfp_tabular.pipelines.local.run_record import RunRecord


def of(output: Path, arguments: dict[str, Any]) -> None:
    """Leave a run with arguments in a folder."""
    (output / "logs").mkdir(parents=True)
    (output / "logs" / "kfp.log").touch()
    (output / "pipeline.yaml").touch()
    name = "training-2026-01-02-03-04-05-678901"
    RunRecord(*("training", "", "venv"), name=name, folder=str(output), arguments=arguments).save(
        output
    )


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    called: list[tuple[str, ...]] = []

    def command(*arguments: object) -> None:
        called.append(tuple(map(str, arguments)))
        if arguments[0] == "run":
            raise subprocess.CalledProcessError(3, "run")

    monkeypatch.setattr(demo, "_command", command)
    return called


def arguments(output: Path) -> dict[str, Any]:
    return {
        "data_uri": str(output / "transactions.csv"),
        "label": "is_fraud",
        "model_name": "transactions",
        "seed": 7,
        "model_repository": str(output / "models"),
    }


def test_an_earlier_demo_is_replaced(tmp_path: Path, commands: list[tuple[str, ...]]) -> None:
    assert demo.run(tmp_path / "new", 10) == 3
    assert "--overwrite" not in commands[-1]
    of(tmp_path / "old", arguments(tmp_path / "old"))
    assert demo.run(tmp_path / "old", 10) == 3
    assert "--overwrite" in commands[-1]


@pytest.mark.parametrize("changed", [{"epochs": 3}, {"seed": 8}, {"data_uri": "/data/mine.csv"}])
def test_another_run_stays(
    tmp_path: Path, commands: list[tuple[str, ...]], changed: dict[str, Any]
) -> None:
    of(tmp_path / "mine", {**arguments(tmp_path / "mine"), **changed})
    (tmp_path / "mine" / "transactions.csv").write_text("mine")
    with pytest.raises(UserError, match="it holds a run that is not of a demo"):
        demo.run(tmp_path / "mine", 10)
    assert commands == []
    assert (tmp_path / "mine" / "transactions.csv").read_text() == "mine"
