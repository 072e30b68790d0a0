"""What a fingerprint depends on, and what it does not."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.pipelines.local.cache import fingerprint
from kfp_tabular.pipelines.local.cache.fingerprint import Fingerprint
from kfp_tabular.pipelines.local.contents import Contents
from kfp_tabular.pipelines.local.execution.task_runner import TaskCall
from kfp_tabular.pipelines.local.virtual_environments.fingerprint import EnvironmentDigests


def call(run: str, parameters: dict[str, Any], source: str = "pass", **inputs: str) -> TaskCall:
    artifacts = {
        name: {"artifacts": [{"name": name, "type": {}, "uri": uri, "metadata": {"rows": 3}}]}
        for name, uri in inputs.items()
    }
    executor_input = {
        "inputs": {"parameterValues": parameters, "artifacts": artifacts},
        "outputs": {
            "outputFile": f"{run}/train/executor_output.json",
            "artifacts": {"model": {"artifacts": [{"uri": f"{run}/train/model", "type": {}}]}},
        },
    }
    return TaskCall(
        name="train",
        image="team/launcher:1",
        command=["python3", "-c", source, "--executor_input", json.dumps(executor_input)],
        environment={"MODE": "fast"},
        folder=Path(run) / "train",
        parameters=parameters,
    )


def take(task: TaskCall, environment: str = "e", **variables: str) -> Fingerprint:
    return fingerprint.take(task, environment, variables, Contents())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    for run in ("one", "two"):
        (tmp_path / run / "ingest" / "examples").mkdir(parents=True)
        (tmp_path / run / "ingest" / "examples" / "part").write_text("rows")
    return tmp_path


def both(here: Path, **changes: Any) -> tuple[Fingerprint, Fingerprint]:
    return tuple(  # type: ignore[return-value]
        take(
            call(
                str(here / run),
                {"data_uri": str(here / "data.csv"), "seed": 7, **changes},
                examples=str(here / run / "ingest" / "examples"),
            )
        )
        for run in ("one", "two")
    )


def test_the_folder_of_a_run_does_not_count(here: Path) -> None:
    first, second = both(here)
    assert first.key == second.key
    assert first.obstacles == ()


def test_each_input_counts(here: Path) -> None:
    first, _ = both(here)
    task = call(
        str(here / "one"),
        {"data_uri": str(here / "data.csv"), "seed": 7},
        examples=str(here / "one" / "ingest" / "examples"),
    )
    assert take(task).key == first.key
    assert take(task, "other").key != first.key
    assert take(task, TF_DETERMINISTIC_OPS="1").key != first.key
    assert take(task, TERM="dumb").key == first.key
    assert both(here, seed=8)[0].key != first.key
    assert take(call(str(here / "one"), dict(task.parameters), "x = 1")).key != first.key


@pytest.mark.parametrize("name", ["part", "_lineage.json", ".hidden", "deep/new"])
def test_each_byte_of_an_artifact_counts(here: Path, name: str) -> None:
    first, _ = both(here)
    file = here / "two" / "ingest" / "examples" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("Rows")
    assert both(here)[1].key != first.key
    assert both(here)[1].differences(first.document) == ["its inputs"]


def test_a_changed_byte_counts_although_size_and_time_stay(here: Path) -> None:
    data = here / "data.csv"
    before = data.stat()
    first, _ = both(here)
    data.write_text("a,b\n1,3\n")
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))

    changed, _ = both(here)

    assert changed.key != first.key
    assert changed.differences(first.document) == ["the data that its arguments name"]


def test_within_a_run_too(here: Path) -> None:
    contents, data = Contents(), here / "data.csv"
    before, stat = contents.of(data), data.stat()
    time.sleep(0.05)  # more than the clock of the file system takes for a tick
    data.write_text("a,b\n1,3\n")
    os.utime(data, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert contents.of(data) != before


@pytest.mark.parametrize(
    ("parameters", "changed"),
    [
        ({"data_uri": "{here}/*.csv"}, "new.csv"),
        ({"data_uri": "file://{here}/data"}, "data/part-1.csv"),
        ({"data_uri": "{here}/**"}, "data/deep/x.csv"),
        ({"schema_uri": "schemas/churn"}, "schemas/churn/schema.pbtxt"),
        ({"table": "data.csv"}, "data.csv"),
        ({"options": {"table": ["{here}/data.csv"]}}, "data.csv"),
        ({"data_uri": "{here}/da**.csv"}, "data/deep/x.csv"),
        ({"data_paths": ["data"]}, "data/part-1.csv"),
        ({"path": "data"}, "data/part-1.csv"),
        # A component of one's own may call it anything.
        ({"source": "data"}, "data/part-1.csv"),
        ({"source": "data/*.csv"}, "data/part-1.csv"),
    ],
)
def test_files_that_arguments_name(here: Path, parameters: dict[str, Any], changed: str) -> None:
    (here / "data").mkdir()
    (here / "schemas" / "churn").mkdir(parents=True)
    task = call(str(here / "one"), json.loads(json.dumps(parameters).replace("{here}", str(here))))
    before = take(task).key
    (here / changed).parent.mkdir(exist_ok=True)
    (here / changed).write_text("new")
    assert take(task).key != before


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"data_uri": "s3://bucket/data"}, "s3://bucket/data is not on this machine"),
        ({"source": "https://example.org/x.csv"}, "x.csv is not on this machine"),
        ({"study_directory": "/srv/study"}, "writes to study_directory"),
        ({"checkpoint_uri": "/srv/checkpoints"}, "writes to checkpoint_uri"),
        ({"backend": "tfjob"}, "starts a job elsewhere"),
        ({"data_uri": "/dev/null"}, "not a file"),
        ({"baseline": "champion", "tracking_uri": ""}, "baseline champion is an alias"),
        ({"model": "models:/m@champion", "tracking_uri": ""}, "models:/m@champion is an alias"),
    ],
)
def test_tasks_that_are_not_reused(here: Path, parameters: dict[str, Any], words: str) -> None:
    (obstacle,) = take(call(str(here / "one"), parameters)).obstacles
    assert words in obstacle


@pytest.mark.parametrize("value", ["data", "*", "**", "da*"])
def test_columns_of_our_components_are_not_read_as_folders(here: Path, value: str) -> None:
    (here / "data").mkdir()
    plain = call(str(here / "one"), {"label": value, "exclude": [value]})
    task = replace(plain, command=[*plain.command, "kfp_tabular.components.training.component:fit"])
    before = take(task).key
    (here / "data" / "new.csv").write_text("new")
    assert take(task).key == before


def test_variables_that_ones_own_code_names_count(here: Path) -> None:
    (here / "rates.py").write_text("import os\nrate = os.environ.get('RATE', '1')\n")
    task = call(str(here / "one"), {"preprocessing_fn": "rates:preprocess"})
    before = take(task, RATE="1", OTHER="1")
    assert take(task, RATE="1", OTHER="2").key == before.key
    assert take(task, RATE="2", OTHER="1").differences(before.document) == ["environment variables"]
    source = call(str(here / "one"), {}, "import os\nprint(os.environ['RATE'])")
    assert take(source, RATE="1").key != take(source, RATE="2").key
    assert take(task, OMP_NUM_THREADS="1").key != take(task, OMP_NUM_THREADS="2").key


def test_modules_that_python_imports_at_its_start_count(here: Path) -> None:
    task = call(str(here / "one"), {})
    before = take(task).key
    (here / "sitecustomize.py").write_text("x = 1\n")
    assert take(task).key != before


def test_an_environment_that_is_not_known_is_an_obstacle(here: Path) -> None:
    assert take(call(str(here / "one"), {}), "").obstacles


@pytest.mark.parametrize(
    "changed", ["trips/features.py", "trips/weights.json", "helpers.py", "rates.py"]
)
def test_functions_of_ones_own_count_with_what_they_import(here: Path, changed: str) -> None:
    (here / "trips").mkdir()
    (here / "trips" / "__init__.py").write_text("")
    (here / "trips" / "features.py").write_text("from helpers import scale\n")
    (here / "trips" / "weights.json").write_text("{}")
    (here / "helpers.py").write_text("def f():\n    import rates\n")
    (here / "rates.py").write_text("rate = 1\n")
    (here / "unused.py").write_text("rate = 1\n")
    task = call(str(here / "one"), {"preprocessing_fn": "trips.features:preprocess"})
    before = take(task)
    (here / "unused.py").write_text("rate = 2\n")
    assert take(task).key == before.key

    with (here / changed).open("a") as stream:
        stream.write(" ")

    assert take(task).key != before.key
    assert take(task).differences(before.document) == ["your own functions"]


def test_imports_of_a_component_in_the_spec_count(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = here / "library"
    library.mkdir()
    (library / "prices.py").write_text("x = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(library))
    task = call(str(here / "one"), {}, "def component():\n    import prices\n")
    before = take(task).key
    (library / "prices.py").write_text("x = 2\n")
    assert take(task).key != before


def environment(folder: Path) -> Path:
    packages = folder / "lib" / "python3.13" / "site-packages"
    for name in ("numpy-2.0.0", "kfp_tabular-0.1.0"):
        (packages / f"{name}.dist-info").mkdir(parents=True)
        (packages / f"{name}.dist-info" / "RECORD").write_text(f"{name}/__init__.py,sha256=a,1\n")
    (packages / "kfp_tabular" / "components").mkdir(parents=True)
    (packages / "kfp_tabular" / "components" / "train.py").write_text("x = 1\n")
    (packages / "kfp_tabular" / "pipelines").mkdir()
    (packages / "numpy").mkdir()
    (packages / "numpy" / "__init__.py").write_text("x = 1\n")
    (folder / "pyvenv.cfg").write_text("version = 3.13.1\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").write_bytes(b"3.13.1")
    for file in packages.rglob("*"):
        os.utime(file, (1_000, 1_000))
    return folder / "bin" / "python3"


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ("numpy-2.0.0.dist-info/RECORD", True),
        ("kfp_tabular/components/train.py", True),
        ("kfp_tabular/components/new.py", True),
        ("kfp_tabular/pipelines/cli.py", False),
        ("../../../pyvenv.cfg", True),
        ("../../../bin/python3", True),
        ("numpy/__init__.py", True),  # edited after its installation
        ("numpy/new.py", True),
        ("one_file.py", True),
        ("numpy/__pycache__/__init__.cpython-313.pyc", False),
    ],
)
def test_packages_count(tmp_path: Path, changed: str, counts: bool) -> None:
    python = environment(tmp_path)
    before = EnvironmentDigests().of(python, [], Contents())
    file = tmp_path / "lib" / "python3.13" / "site-packages" / changed
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as stream:
        stream.write(" ")
    assert (EnvironmentDigests().of(python, [], Contents()) != before) is counts


def test_packages_from_outside_an_environment_are_not_known(tmp_path: Path) -> None:
    python = environment(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    assert EnvironmentDigests().of(python, [], Contents()) == ""


def test_without_packages_an_environment_is_not_known(tmp_path: Path) -> None:
    assert EnvironmentDigests().of(tmp_path / "bin" / "python3", [], Contents()) == ""


def test_an_editable_package_counts_by_its_files(tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    project = tmp_path / "project"
    project.mkdir()
    (project / "churn.py").write_text("x = 1\n")
    packages = tmp_path / "venv" / "lib" / "python3.13" / "site-packages"
    (packages / "numpy-2.0.0.dist-info" / "direct_url.json").write_text(
        json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}})
    )
    before = EnvironmentDigests().of(python, [], Contents())
    (project / "churn.py").write_text("x = 2\n")
    assert EnvironmentDigests().of(python, [], Contents()) != before
