"""The training program: `python -m kfp_tabular.components.training.worker`.

One process of a training job. The task runs it, once for every local worker; tuning runs it for
each trial; a Kubeflow job runs it in every pod. TF_CONFIG tells the processes of one job apart.

Flags are plain `--name=value`. Any hyperparameter is a flag too, as `--learning-rate=0.01`, and
wins over the document that `--hyperparameters` names. An unknown flag exits with 2.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.hyperparameters import Hyperparameters
from kfp_tabular.components.training import run


def parse(arguments: Sequence[str]) -> run.Settings:
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
    add("--output", type=Path, help="where the model goes; not needed with --no-export")
    add("--logs", type=Path, help="TensorBoard logs, training.json; default: beside --output")
    add("--hyperparameters", type=Path, help="a JSON object of hyperparameters")
    add("--class-weights", default="none", help="none or balanced")
    add("--early-stopping-patience", type=int, default=run.Settings.early_stopping_patience)
    add("--model-fn", default="", help="package.module:function of one's own model")
    add("--seed", type=int, default=0)
    add("--metrics-file", type=Path, help="metrics are appended here, in Katib's text format")
    add("--no-export", action="store_true", help="train and measure, but write no model")
    names = {field.name for field in fields(Hyperparameters)}
    for name in sorted(names):
        add(f"--{name.replace('_', '-')}", help="hyperparameter")
    given = parser.parse_args(arguments)
    if given.output is None and not given.no_export:
        parser.error("--output is required unless --no-export is given")
    document = (
        Hyperparameters.load(given.hyperparameters) if given.hyperparameters else Hyperparameters()
    )
    values = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return run.Settings(
        transformed_examples=given.transformed_examples,
        transform_graph=given.transform_graph,
        output=given.output,
        logs=given.logs,
        hyperparameters=document.updated(values),
        class_weights=given.class_weights,
        early_stopping_patience=given.early_stopping_patience,
        model_fn=given.model_fn,
        seed=given.seed,
        export=not given.no_export,
        metrics_file=given.metrics_file,
    )


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
    for name, value in outcome.metrics.items():
        sys.stdout.write(f"{name}={value:.8g}\n")


if __name__ == "__main__":
    main()
