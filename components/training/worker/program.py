"""The training program: `python -m kfp_tabular.components.training.worker`.

One process of a training job. The task runs it, once for every local worker; tuning runs it for
each trial; a Kubeflow job runs it in every pod. TF_CONFIG tells the processes of one job apart:
chief, worker, parameter server (`ps`) or evaluator.

Flags are plain `--name=value`. Locations are paths or URIs (`gs://`, `s3://`, `minio://`). Any
hyperparameter is a flag too, as `--learning-rate=0.01`, and wins over the document that
`--hyperparameters` names. An unknown flag exits with 2.

Exit codes: 0 done; 2 bad input or configuration; 143 told to stop, with the state saved; 138
another process of the job was lost, and this one may be started again; 1 anything else.
"""

import argparse
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.training.distributed import replica_role, worker_termination
from kfp_tabular.components.training.loop import metrics_writer
from kfp_tabular.components.training.settings import ClassWeights, Settings
from kfp_tabular.components.training.worker import role_dispatch
from kfp_tabular.components.training.worker.workspace import Order

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long a process waits.

    Attributes:
        peers_seconds: For the other processes of the job to start.
        grace_seconds: After SIGTERM, to save its state.
    """

    peers_seconds: float = 900.0
    grace_seconds: float = 25.0


def parse(arguments: Sequence[str]) -> tuple[Order, Patience]:
    """Turns the command line into an order.

    Args:
        arguments: Flags, without the program's name.

    Raises:
        SystemExit: With code 2, for an unknown flag or a missing one.
    """
    parser = argparse.ArgumentParser(
        prog="python -m kfp_tabular.components.training.worker",
        description="Trains a model on transformed examples. Locations are paths or URIs.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--transformed-examples", required=True, help="transformed examples")
    add("--transform-graph", required=True, help="the transform graph")
    add("--output", help="the model's directory")
    add("--no-export", action="store_true", help="train and measure, but write no model")
    add("--logs", help="directory for TensorBoard logs and training.json")
    add("--checkpoints", default="", help="directory; default: checkpoints/ in --logs")
    add("--checkpoint-seconds", type=float, default=Settings.checkpoint_seconds)
    add("--hyperparameters", default="", help="a JSON object of hyperparameters")
    add("--class-weights", choices=get_args(ClassWeights), default=Settings.class_weights)
    add("--early-stopping-patience", type=int, default=Settings.early_stopping_patience)
    add("--model-fn", default="", help="package.module:function of one's own model")
    add("--decision-threshold", type=float, default=Settings.decision_threshold)
    add("--seed", type=int, default=Settings.seed)
    add("--shuffle-rows", type=int, default=Settings.shuffle_rows)
    add("--eval-rows", type=int, default=Settings.eval_rows)
    add("--metrics-file", type=Path, help="metrics are appended replica, in Katib's text format")
    add("--peers-seconds", type=float, default=Patience.peers_seconds)
    add("--grace-seconds", type=float, default=Patience.grace_seconds)
    add("--parent", type=int, help="the process to end with, by its id")
    names = sorted(field.name for field in fields(Hyperparameters))
    for name in names:
        add(f"--{name.replace('_', '-')}", help="hyperparameter")
    given = vars(parser.parse_args(arguments))
    parent = given.pop("parent")
    if parent is not None:
        _end_with(parent)
    if given["output"] is None and not given["no_export"]:
        parser.error("--output is required unless --no-export is given")
    if given.pop("no_export"):
        given["output"] = None
    patience = Patience(given.pop("peers_seconds"), given.pop("grace_seconds"))
    values = {name: value for name in names if (value := given.pop(name)) is not None}
    places = {
        name: given.pop(name)
        for name in (
            "transformed_examples",
            "transform_graph",
            "output",
            "logs",
            "hyperparameters",
        )
    }
    return Order(**places, values=values, options=given), patience


def _end_with(parent: int) -> None:
    """Has the kernel stop this process when its parent ends, however that ends."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(f"the parent, process {parent}, has ended")


def set_up_logging() -> None:
    """Sends the log to standard error."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    # Its chatter at the level of INFO is about credentials, once for each client.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Flags; those of the command line where None.
    """
    set_up_logging()
    order, patience = parse(sys.argv[1:] if arguments is None else arguments)
    with worker_termination.on_termination(patience.grace_seconds), reported_to_user():
        replica = replica_role.from_environment()
        metrics_file = order.options["metrics_file"]
        if metrics_file is not None and replica.is_chief:
            metrics_writer.open_metrics(metrics_file)
        metrics = role_dispatch.work(order, replica, patience.peers_seconds)
    if metrics:
        sys.stdout.write(f"{metrics_writer.katib_line(metrics)}\n")


if __name__ == "__main__":
    main()
