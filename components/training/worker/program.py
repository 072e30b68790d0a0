"""The training program: `python -m kfp_tabular.components.training.worker`.

It is one process of a training. `train_model` runs it once for each local worker,
`tune_hyperparameters` for each trial, and a Kubeflow job in every pod. TF_CONFIG tells the
processes of one job apart: chief, worker, parameter server (`ps`) or evaluator.

Flags are plain `--name=value`. Locations are paths or URIs (`gs://`, `s3://`, `minio://`). Every
hyperparameter is a flag, too, such as `--learning-rate=0.01`, and overrides the document that
`--hyperparameters` names. An unknown flag exits with 2.

Exit codes: 0 done; 2 bad input or configuration; 143 stopped, with the state saved; 138 another
process of the job was lost, and this one may be restarted; 1 anything else.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.training_options import NO_EXPORT, add_flags
from kfp_tabular.components.training.distributed import replica_role, worker_termination
from kfp_tabular.components.training.loop import metrics_writer
from kfp_tabular.components.training.worker_settings import WorkerArguments

_logger = logging.getLogger(__name__)


def parse(command_line: Sequence[str]) -> WorkerArguments:
    """Parse the command line.

    Args:
        command_line: Flags, without the program's name.

    Raises:
        SystemExit: With code 2, if a flag is unknown or missing.

    Example:
        >>> locations = ["--transformed-examples=examples", "--transform-graph=graph"]
        >>> arguments = parse([*locations, "--no-export", "--l2=0.1"])
        >>> arguments.transformed_examples, arguments.output, arguments.values
        ('examples', '', {'l2': '0.1'})
    """
    parser = argparse.ArgumentParser(
        prog="python -m kfp_tabular.components.training.worker",
        description="Trains a model on transformed examples. Locations are paths or URIs.",
        allow_abbrev=False,
    )
    add_flags(parser, WorkerArguments)
    add_flags(parser, Hyperparameters, as_text=True)
    parser.add_argument(NO_EXPORT, action="store_true", help="Train and measure; write no model.")
    given = vars(parser.parse_args(command_line))
    if given["no_export"]:
        given["output"] = ""
    elif not given.get("output"):
        parser.error(f"--output is required unless {NO_EXPORT} is given")
    values = {name: given[name] for name in options.describe(Hyperparameters) if name in given}
    return options.build(WorkerArguments, {**given, "values": values})


def set_up_logging() -> None:
    """Send the log to standard error."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    # At INFO it logs where it found credentials, once for each client.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def main(command_line: Sequence[str] | None = None) -> None:
    """Run the program.

    Args:
        command_line: Flags; those of the process if None.
    """
    set_up_logging()
    arguments = parse(sys.argv[1:] if command_line is None else command_line)
    with worker_termination.on_termination(arguments.grace_seconds), reported_to_user():
        options.check(arguments)
        replica = replica_role.from_environment()
        if arguments.metrics_file and replica.is_chief:
            metrics_writer.open_metrics(Path(arguments.metrics_file))
        # The launcher's image parses command lines, too, and has nothing to train with.
        from kfp_tabular.components.training.worker import role_dispatch

        metrics = role_dispatch.work(arguments, replica)
    if metrics:
        sys.stdout.write(f"{metrics_writer.katib_line(metrics)}\n")
