"""Options of the subcommands that talk to a Kubeflow Pipelines server."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.options import (
    FILE,
    check_locked,
    check_shortcuts,
    config_option,
    find,
    not_empty,
    params_option,
    pipeline_option,
)
from kfp_tabular.pipelines.kubeflow.connection import COOKIES_VARIABLE, TOKEN_VARIABLE, Server

if TYPE_CHECKING:
    from kfp_tabular.pipelines.configuration import PipelineConfig
    from kfp_tabular.pipelines.kubeflow.submission import SubmissionRequest


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name the server and the credentials.

    Example:
        >>> @click.command
        ... @server_options
        ... def show(server):
        ...     click.echo(f"{server.name}, namespace {server.namespace}")
        >>> show(["--host", "https://kfp.example.com", "--namespace", "ml"], standalone_mode=False)
        https://kfp.example.com, namespace ml
    """
    options = [
        click.option("--host", default="", metavar="URL", help="URL of Kubeflow Pipelines' API."),
        click.option("--namespace", default="", help="Your profile's namespace, if there are any."),
        click.option(
            "--token-file",
            type=FILE,
            help=f"A file with a bearer token. Or set {TOKEN_VARIABLE}.",
        ),
        click.option(
            "--cookies-file",
            type=FILE,
            help=f"A file with the cookies of a login session. Or set {COOKIES_VARIABLE}.",
        ),
        click.option(
            "--service-account-token", is_flag=True, help="Use the token projected into this pod."
        ),
        click.option("--client-id", default="", help="Client of Google's Identity-Aware Proxy."),
        click.option("--ca-file", type=FILE, help="Certificates of the authority to trust."),
        click.option("--insecure", is_flag=True, help="Accept any certificate."),
        click.option("--kube-context", default="", help="Context of the kubeconfig."),
        click.option("--ui-host", default="", metavar="URL", help="URL of the UI, if different."),
    ]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        names = [option.name for option in Server.__dataclass_fields__.values()]
        server = Server(**{name: given.pop(name) for name in names})
        command(server=server, **given)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def submission_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options about the pipeline and its run.

    Example:
        >>> @click.command
        ... @submission_options
        ... def show(**given):
        ...     click.echo(f"{given['pipeline']} {given['params']} {given['experiment']}")
        >>> show(["--param", "epochs=3"], standalone_mode=False)
        training ('epochs=3',) kfp-tabular
    """
    options = [
        pipeline_option,
        config_option,
        click.option("--data", metavar="URI", callback=not_empty, help="The parameter data_uri."),
        click.option("--label", metavar="COLUMN", callback=not_empty, help="The parameter label."),
        params_option,
        click.option(
            "--experiment", default="kfp-tabular", show_default=True, help="The experiment's name."
        ),
        click.option("--pipeline-root", default="", metavar="URI", help="Where artifacts go."),
        click.option("--no-cache", is_flag=True, help="Run every task; use no cached result."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def submission_request(name: str, given: dict[str, Any]) -> "SubmissionRequest":
    """Return the request that the options of `submission_options` describe.

    Args:
        name: The name of the run or schedule; `{pipeline}` in it becomes the pipeline's name.
        given: The options' values.

    Example:
        >>> given = {"pipeline": "training", "config": None, "params": ["epochs=3"]}
        >>> given |= {"data": "gs://shop/a.csv", "label": "price", "experiment": "prices"}
        >>> given |= {"pipeline_root": "", "no_cache": False}
        >>> request = submission_request("nightly {pipeline}", given)
        >>> request.name, request.arguments
        ('nightly training', {'data_uri': 'gs://shop/a.csv', 'label': 'price', 'epochs': '3'})
    """
    from kfp_tabular.pipelines import parameters
    from kfp_tabular.pipelines.kubeflow.submission import SubmissionRequest

    pipeline = find(given["pipeline"])
    config = pipeline.configuration(given["config"])
    arguments: dict[str, Any] = {}
    shortcuts: dict[str, str] = {}
    if given["data"] is not None:
        arguments["data_uri"] = given["data"]
        shortcuts["data_uri"] = "--data"
    if given["label"] is not None:
        arguments["label"] = given["label"]
        shortcuts["label"] = "--label"
    check_shortcuts(pipeline, config, shortcuts)
    named = parameters.key_values(given["params"])
    arguments |= named
    check_locked(config, given["config"], arguments)
    _check_data(
        config, given["config"], arguments, "--param data_uri" if "data_uri" in named else "--data"
    )
    return SubmissionRequest(
        pipeline=pipeline,
        config=config,
        arguments=arguments,
        name=name.replace("{pipeline}", pipeline.name),
        experiment=given["experiment"],
        pipeline_root=given["pipeline_root"],
        caching=not given["no_cache"],
    )


def _check_data(
    config: "PipelineConfig", path: Path | None, arguments: Mapping[str, Any], option: str
) -> None:
    """Check that pods can read the data, wherever their address was given."""
    for source, values in (
        (option, arguments),
        (f"{path}: locked: data_uri", config.locked),
        (f"{path}: parameters: data_uri", config.parameters),
    ):
        data = values.get("data_uri")
        if data is None:
            continue
        if isinstance(data, str) and not urlsplit(data).scheme and not data.startswith("/"):
            raise UserError(
                f"{source} {data!r} is a path on this machine, which a pod cannot read; give "
                "gs://, s3://, minio://, or an absolute path on a volume that the configuration "
                "mounts."
            )
        return
