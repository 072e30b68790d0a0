"""Starts `fold_steps.py` for `bench_folds.py` and `bench_spark.py`, with a model to evaluate."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.pipelines.environments.location import Environments, default_folder

CHECKOUT = Path(__file__).parents[2]
_STEPS = Path(__file__).with_name("fold_steps.py")
_ENVIRONMENTS = {"validate": "tfdv"}


@dataclass(frozen=True)
class Side:
    """Code and an engine that run steps.

    Attributes:
        name: Its name in the table.
        processing: The document `processing`; empty for code that has no engines.
        package: A folder that holds `kfp_tabular`; None for this checkout.
        root: The process whose descendants do the work; None for the step's own.
    """

    name: str
    processing: Mapping[str, Any] = field(default_factory=dict)
    package: Path | None = None
    root: int | None = None

    def run(
        self, step: str, folder: Path, data: Path, model: Path, more: Sequence[str] = ()
    ) -> list[dict[str, float]]:
        """Run a step in a process of its own, and return what each of its rounds took."""
        folder.mkdir(parents=True, exist_ok=True)
        python = default_folder() / _ENVIRONMENTS.get(step, "tensorflow") / "bin" / "python"
        command = [str(python), str(_STEPS), step, "--folder", str(folder), "--data", str(data)]
        command += ["--model", str(model), "--processing", json.dumps(dict(self.processing)), *more]
        if self.root is not None:
            command += ["--root", str(self.root)]
        environment = dict(os.environ)
        if self.package is not None:
            environment["PYTHONPATH"] = str(self.package)
        home = Environments(default_folder()).spark_home()
        if home is not None:
            environment.setdefault("SPARK_HOME", str(home))
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def package_of(checkout: Path, folder: Path) -> Path:
    """Make a folder that holds the `kfp_tabular` of a checkout, for `PYTHONPATH`."""
    package = folder / "kfp_tabular"
    package.mkdir(parents=True)
    checkout = checkout.resolve()
    (package / "__init__.py").symlink_to(checkout / "pipelines" / "package" / "__init__.py")
    for part in ("components", "pipelines", "serving"):
        (package / part).symlink_to(checkout / part)
    return folder


def trained_model(data: Path, folder: Path) -> Path:
    """Train the default model on some data, and return its directory."""
    program = default_folder() / "author" / "bin" / "kfp-tabular"
    command = [str(program), "run", "--no-cache", "--data", str(data), "--label", "big_tipper"]
    command += ["--exclude", "tips", "--param", "train_steps=1000", "--output", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "models" / "model" / "1"
