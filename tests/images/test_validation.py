"""The two versions of TFDV: that of the image, and that of older hosts' environment."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import compiler, dsl

from kfp_tabular.components import ingest_data, validate_data
from kfp_tabular.pipelines import sample_data
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.local.containers.container_runner import ContainerRunner
from kfp_tabular.pipelines.local.containers.engine import Engine
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.local.execution.task_launcher import TaskResult
from kfp_tabular.pipelines.local.execution.task_runner import TaskRunner
from kfp_tabular.pipelines.local.virtual_environments.environment_runner import (
    VirtualEnvironmentRunner,
)


@dsl.pipeline(name="validation")
def validation(
    data_uri: str, label: str, schema_uri: str = "", previous_statistics_uri: str = ""
) -> None:
    examples = ingest_data(data_uri=data_uri, label=label).outputs["examples"]
    validate_data(
        examples=examples,
        label=label,
        schema_uri=schema_uri,
        previous_statistics_uri=previous_statistics_uri,
        skew_thresholds={"*": 0.01},
        fail_on="never",
    )


class Silent:
    def started(self, name: str) -> None: ...

    def printed(self, name: str, line: str) -> None: ...

    def finished(self, result: TaskResult) -> None: ...


def validate(task_runner: TaskRunner, folder: Path, **arguments: object) -> Path:
    """Run the pipeline and return the folder of its last task."""
    folder.mkdir(parents=True)
    compiler.Compiler().compile(validation, str(folder / "pipeline.yaml"))
    results = spec_runner.run_spec(
        folder / "pipeline.yaml", arguments, folder, Silent(), task_runner
    )
    assert [result.error for result in results] == ["", ""]
    return results[-1].folder


def findings(task: Path) -> dict[str, str]:
    """Return what the task found: schema and anomalies, as text."""
    return {
        str(file.relative_to(task)): file.read_text()
        for name in ("schema", "anomalies")
        for file in sorted((task / name).rglob("*"))
        if file.is_file() and file.name != "_lineage.json"
    }


@pytest.fixture
def task_runners(engine: Engine) -> Iterator[tuple[TaskRunner, TaskRunner]]:
    yield ContainerRunner(engine), VirtualEnvironmentRunner(Environments.find())


@pytest.mark.timeout(600)
def test_sample_data(task_runners: tuple[TaskRunner, TaskRunner], tmp_path: Path) -> None:
    data, broken = tmp_path / "data.csv", tmp_path / "broken.csv"
    sample_data.write_csv(sample_data.generate(20_000, 7, task="binary"), data)
    _break(data, broken)
    found = []
    for index, task_runner in enumerate(task_runners):
        folder = tmp_path / str(index)
        sound = validate(task_runner, folder / "sound", data_uri=str(data), label="is_fraud")
        bad = validate(
            task_runner,
            folder / "broken",
            data_uri=str(broken),
            label="is_fraud",
            # The same for both, so that one cannot differ because the other's did.
            schema_uri=str(next((tmp_path / "0/sound/artifacts").glob("*/validate-data/schema"))),
            previous_statistics_uri=str(sound / "statistics"),
        )
        found.append((findings(sound), findings(bad)))

    assert found[0] == found[1]
    anomalies = found[0][1]["anomalies/anomalies.json"]
    for kind in (
        "missing column",
        "new column",
        "skew against the train split",
        "values outside the domain",
    ):
        assert kind in anomalies


def _break(source: Path, target: Path) -> None:
    """Write data with what goes wrong in practice."""
    draw = random.Random(5)
    with source.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[:8000]
    for row in rows:
        del row["card_id"]
        row["shop"] = draw.choice(["1", "2", ""])
        if draw.random() < 0.1:
            row["merchant_category"] = draw.choice(["Café", "unheard of", "x" * 300])
        if draw.random() < 0.2:
            row["amount"] = str(10 ** draw.uniform(3, 9))
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.timeout(600)
@pytest.mark.reference_data
def test_taxi_trips(
    task_runners: tuple[TaskRunner, TaskRunner], chicago_taxi: Path, tmp_path: Path
) -> None:
    tasks = [
        validate(task_runner, tmp_path / str(i), data_uri=str(chicago_taxi), label="big_tipper")
        for i, task_runner in enumerate(task_runners)
    ]

    assert findings(tasks[0]) == findings(tasks[1])
