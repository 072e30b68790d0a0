"""Runs of a pipeline of two small tasks, through the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("kfp-tabular")

PIPELINE = """\
from kfp import dsl

IMAGE = "registry.example/team/launcher:1"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def count(source_uri: str, table: dsl.Output[dsl.Dataset], wait: str = ""):
    from pathlib import Path

    with (Path.cwd() / "count.txt").open("a") as journal:
        journal.write("count\\n")
    lines = len(Path(source_uri).read_text().splitlines())
    folder = Path(table.path)
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "lines.txt").write_text(f"{lines}\\n")
    table.metadata["lines"] = lines


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def double(table: dsl.Input[dsl.Dataset], note: dsl.Output[dsl.Markdown], mode: str = "") -> int:
    import time
    from pathlib import Path

    with (Path.cwd() / "count.txt").open("a") as journal:
        journal.write("double\\n")
    if mode == "wait" and not Path("go").exists():
        print("waiting", flush=True)
        time.sleep(100)
    if mode == "fail" and not Path("go").exists():
        raise ValueError("broken")
    lines = int((Path(table.path) / "deep" / "lines.txt").read_text())
    Path(note.path).write_text(f"# {2 * lines} lines")
    return 2 * lines


@dsl.pipeline(name="small")
def small(source_uri: str, mode: str = ""):
    counted = count(source_uri=source_uri)
    double(table=counted.outputs["table"], mode=mode)
"""


def prepare(folder: Path, text: str = "a\nb\n") -> None:
    """Write the pipeline and its data."""
    (folder / "small.py").write_text(PIPELINE)
    (folder / "data.txt").write_text(text)


def command(folder: Path, *arguments: object) -> list[str]:
    return [
        *(str(PROGRAM), "run", "--pipeline", "small.py:small"),
        *("--param", f"source_uri={folder / 'data.txt'}"),
        *map(str, arguments),
    ]


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "KFP_TABULAR_CACHE": str(folder / "cache"), **(more or {})}


def run(
    folder: Path, *arguments: object, more: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(folder, *arguments),
        cwd=folder,
        env=environment(folder, more),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def statuses(output: Path) -> dict[str, str]:
    return {task["name"]: task["status"] for task in summary(output)["tasks"]}


def summary(output: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((output / "summary.json").read_text())
    return document


def journal(folder: Path) -> list[str]:
    """The tasks that really worked, in order."""
    file = folder / "count.txt"
    return file.read_text().splitlines() if file.exists() else []
