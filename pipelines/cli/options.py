"""Options that several subcommands share."""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.errors import UserError, closest

if TYPE_CHECKING:
    from kfp_tabular.pipelines.configuration import PipelineConfig
    from kfp_tabular.pipelines.definition import PipelineDefinition


class PathOption(click.Path):
    """A path; an empty one, which is that of a shell variable that is not set, is refused.

    Example:
        >>> click.Option(["--output"], type=PathOption()).type.convert("", None, None)
        Traceback (most recent call last):
            ...
        click.exceptions.BadParameter: the value is empty; give a path, or omit the option.
    """

    def __init__(self, *, dir_okay: bool = True, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay, file_okay=file_okay)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return the path."""
        if not os.fspath(value):
            self.fail("the value is empty; give a path, or omit the option.", param, ctx)
        return super().convert(value, param, ctx)


FILE = PathOption(dir_okay=False)


def _complete_pipeline(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the registered names and, for a path, what the shell completes as a file."""
    from kfp_tabular.pipelines.registry import PIPELINES

    names = [CompletionItem(name) for name in PIPELINES if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


pipeline_option = click.option(
    "--pipeline",
    default="training",
    show_default=True,
    shell_complete=_complete_pipeline,
    metavar="NAME|PATH.py:FUNCTION",
    help="The pipeline: training, validation, batch-prediction, or your own in a Python file.",
)

config_option = click.option(
    "--config",
    type=FILE,
    help="A YAML configuration: images, resources, parameters. config-schema describes it.",
)

params_option = click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a run-time parameter of the pipeline. Repeatable; kfp-tabular params lists them.",
)


def processing_document(value: str | None) -> dict[str, Any] | None:
    """Return the document that `--processing` gives: an engine's name, JSON, or a file.

    Example:
        >>> processing_document("spark")
        {'engine': 'spark'}
        >>> processing_document("sparc")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --processing sparc: neither an engine
        (local, spark, beam) nor a file. Did you mean 'spark'?
    """
    if value is None:
        return None
    from kfp_tabular.components.common.processing import processing_settings

    document = _read_processing(value, processing_settings.ENGINES)
    processing_settings.parse(document)
    return document


def _read_processing(value: str, engines: Collection[str]) -> dict[str, Any]:
    import yaml

    text = value
    if value in engines:
        return {"engine": value}
    if not value.lstrip().startswith("{"):
        try:
            text = Path(value).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(
                f"--processing {value}: neither an engine ({', '.join(engines)}) nor a file."
                f"{closest(value, engines)}"
            ) from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--processing {value}: neither JSON nor YAML.") from error
    if not isinstance(document, dict):
        raise UserError(f"--processing {value}: expected keys and values, such as engine: spark.")
    return document


def find(pipeline: str) -> "PipelineDefinition":
    """Return the pipeline that `--pipeline` names.

    Example:
        >>> find("trainig")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: pipeline 'trainig' does not exist. Did you
        mean 'training'? Registered: training, validation, batch-prediction. For your own, give
        PATH.py:function.
    """
    from kfp_tabular.pipelines import registry

    return registry.find(pipeline)


def not_empty(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty value, which is that of a shell variable that is not set.

    Example:
        >>> context, option = click.Context(click.Command("run")), click.Option(["--label"])
        >>> not_empty(context, option, "price")
        'price'
        >>> not_empty(context, option, "")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --label: the value is empty; give one, or
        omit the option.
    """
    if value == "":
        raise UserError(f"{parameter.opts[0]}: the value is empty; give one, or omit the option.")
    return value


processing_option = click.option(
    "--processing",
    metavar="ENGINE|JSON|FILE",
    callback=not_empty,
    help="What processes rows: local (the default), spark, or a document with its settings.",
)


def resolved(path: Path, option: str = "--output") -> Path:
    """Return a folder that an option names without links and relative parts.

    Raises:
        UserError: Links on the way go round in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # Python 3.13 changed which.
        raise UserError(f"{option} {path}: symbolic links in a circle.") from error


def write_output(path: Path, text: str, option: str = "--output") -> None:
    """Write the file that an option names, whole or not at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_output(Path(folder), "a folder is in the way")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --output ...: cannot be written: ...
    """
    from kfp_tabular.components.common import files

    try:
        files.write_text(path, text)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written: {error.strerror}.") from error


def check_locked(config: "PipelineConfig", path: Path | None, given: Iterable[str]) -> None:
    """Check that a command sets no parameter that its configuration locks.

    Args:
        config: The configuration.
        path: Its file.
        given: The names of the parameters that options set.

    Raises:
        UserError: For the first locked parameter; the message names the file.

    Example:
        >>> from kfp_tabular.pipelines.configuration import PipelineConfig
        >>> check_locked(PipelineConfig(locked={"service": {}}), Path("team.yaml"), ["service"])
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: parameter 'service' is locked in team.yaml,
        so a run cannot set it. Leave it out, or change it there.
    """
    from kfp_tabular.pipelines import locked_parameters

    locked_parameters.refuse(given, config.locked, str(path))


def check_shortcuts(
    pipeline: "PipelineDefinition", config: "PipelineConfig", given: Mapping[str, str]
) -> None:
    """Check that the pipeline has the parameters that options such as `--data` set.

    Args:
        pipeline: The pipeline.
        config: Its configuration.
        given: The options that are given, such as `--data`, by the parameter that they set.

    Raises:
        UserError: For an option whose parameter the pipeline does not have.

    Example:
        >>> from kfp_tabular.pipelines.configuration import PipelineConfig
        >>> check_shortcuts(find("validation"), PipelineConfig(), {"label": "--label"})
        >>> check_shortcuts(find("validation"), PipelineConfig(), {"task": "--task"})
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --task: the pipeline 'validation' has no
        parameter 'task'. Its parameters: data_uri, schema_uri, ...
    """
    known = list(pipeline.builder(config).component_spec.inputs or {})
    for parameter, option in given.items():
        if parameter not in known:
            raise UserError(
                f"{option}: the pipeline {pipeline.name!r} has no parameter {parameter!r}. "
                f"Its parameters: {', '.join(known)}."
            )


def seconds(option: str, text: str) -> int:
    """Return the seconds of a duration that an option gives; 0 if it is empty.

    Raises:
        UserError: For anything else; the message names the option.

    Example:
        >>> seconds("--timeout", "4h")
        14400
    """
    try:
        return documents.seconds(text)
    except ValueError as error:
        raise UserError(f"{option} {text!r}: {error}.") from error
