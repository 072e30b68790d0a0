"""The training program: `python -m kfp_tabular.components.training.worker`.

One process of a training job. The task runs it, once for every local worker; tuning runs it for
each trial; a Kubeflow job runs it in every pod. TF_CONFIG tells the processes of one job apart.

Flags are plain `--name=value`. Any hyperparameter is a flag too, as `--learning-rate=0.01`, and
wins over the document that `--hyperparameters` names. An unknown flag exits with 2.
"""

import argparse
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.hyperparameters import Hyperparameters
from kfp_tabular.components.training import journal, run
from kfp_tabular.components.training.settings import ClassWeights, Settings


def parse(arguments: Sequence[str]) -> Settings:
    """Turns the command line into settings.

    Args:
        arguments: Flags, without the program's name.

    Raises:
        SystemExit: With code 2, for an unknown flag or a missing one.
        UserError: For a hyperparameter that does not fit.
    """
    parser = argparse.ArgumentParser(
        prog="python -m kfp_tabular.components.training.worker",
        description="Trains a model on transformed examples.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--transformed-examples", type=Path, required=True, help="transformed examples")
    add("--transform-graph", type=Path, required=True, help="the transform graph")
    add("--output", type=Path, help="the model's directory")
    add("--no-export", action="store_true", help="train and measure, but write no model")
    add("--logs", type=Path, help="directory for TensorBoard logs and training.json")
    add("--checkpoints", default="", help="directory or URI; default: checkpoints/ in --logs")
    add("--checkpoint-seconds", type=float, default=Settings.checkpoint_seconds)
    add("--hyperparameters", type=Path, help="a JSON object of hyperparameters")
    add("--class-weights", choices=get_args(ClassWeights), default=Settings.class_weights)
    add("--early-stopping-patience", type=int, default=Settings.early_stopping_patience)
    add("--model-fn", default="", help="package.module:function of one's own model")
    add("--seed", type=int, default=Settings.seed)
    add("--shuffle-rows", type=int, default=Settings.shuffle_rows)
    add("--eval-rows", type=int, default=Settings.eval_rows)
    add("--parent", type=int, help="the process to end with, by its id")
    add("--metrics-file", type=Path, help="metrics are appended here, in Katib's text format")
    names = sorted(field.name for field in fields(Hyperparameters))
    for name in names:
        add(f"--{name.replace('_', '-')}", help="hyperparameter")
    given = vars(parser.parse_args(arguments))
    parent = given.pop("parent")
    if parent is not None:
        _end_with(parent)
    if given["output"] is None and not given["no_export"]:
        parser.error("--output is required unless --no-export is given")
    values = {name: value for name in names if (value := given.pop(name)) is not None}
    document = given.pop("hyperparameters")
    chosen = Hyperparameters() if document is None else Hyperparameters.load(document)
    if given.pop("no_export"):
        given["output"] = None
    return Settings(hyperparameters=chosen.updated(values), **given)


def _end_with(parent: int) -> None:
    """Has the kernel stop this process when its parent ends, however that ends."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(f"the parent, process {parent}, has ended")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Flags; those of the command line where None.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    with reported_to_user():
        outcome = run.run(parse(sys.argv[1:] if arguments is None else arguments))
    sys.stdout.write(f"{journal.katib_line(outcome.metrics)}\n")


if __name__ == "__main__":
    main()
