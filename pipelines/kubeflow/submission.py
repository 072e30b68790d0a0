"""Submits a pipeline as a run."""

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.pipelines import compile as compiling
from kfp_tabular.pipelines import (
    destinations,
    locked_parameters,
    parameter_checks,
    parameters,
    spec,
)
from kfp_tabular.pipelines.configuration import ALWAYS, PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition
from kfp_tabular.pipelines.kubeflow.connection import Server, connect, translated
from kfp_tabular.pipelines.workflow_size import estimate

if TYPE_CHECKING:
    import kfp

EXPERIMENT = "kfp-tabular"

Compiled = tuple[Path, dict[str, Any], Mapping[str, Sequence[str]]]
"""The compiled file, the arguments, and the tasks with the conditions and loops around each."""


@dataclass(frozen=True)
class SubmissionRequest:
    """The pipeline to run, and how.

    Attributes:
        pipeline: The pipeline.
        config: The compile-time configuration.
        arguments: Run-time parameters, as text or typed.
        name: The run's or the schedule's name.
        experiment: The name of its experiment; created if it does not exist.
        pipeline_root: Where artifacts go; empty for the server's default.
        caching: Whether tasks may use cached results.
    """

    pipeline: PipelineDefinition
    config: PipelineConfig
    arguments: Mapping[str, Any]
    name: str
    experiment: str = EXPERIMENT
    pipeline_root: str = ""
    caching: bool = True


@dataclass(frozen=True)
class Submitted:
    """A run that the server has created.

    Attributes:
        identifier: The run's id.
        url: The URL of its page.
        tasks: The pipeline's tasks, in order, and the conditions and loops around each.
    """

    identifier: str
    url: str
    tasks: Mapping[str, Sequence[str]] = field(default_factory=dict)


def submit(server: Server, request: SubmissionRequest) -> Submitted:
    """Compile the pipeline and start a run.

    Args:
        server: The server to run it on.
        request: The pipeline, and how to run it.

    Raises:
        UserError: For parameters that do not fit, or a request that the server refuses.
    """
    with compiled(request) as (package, arguments, tasks):
        client = connect(server)
        with translated(server), contextlib.redirect_stdout(io.StringIO()):
            run = client.run_pipeline(
                experiment_id=experiment_id(client, server, request),
                job_name=request.name,
                pipeline_package_path=str(package),
                params=arguments,
                pipeline_root=request.pipeline_root or None,
                enable_caching=None if request.caching else False,
                service_account=request.config.service_account or None,
            )
    return Submitted(run.run_id, page(client, "runs/details", run.run_id), tasks)


def page(client: "kfp.Client", route: str, identifier: str) -> str:
    """Return the URL of a page of the user interface, which has its routes after `#`."""
    return f"{client._get_url_prefix().rstrip('/')}/#/{route}/{identifier}"


@contextmanager
def compiled(request: SubmissionRequest) -> Iterator[Compiled]:
    """Compile a pipeline into a temporary file, and check its arguments.

    Raises:
        UserError: For parameters that do not fit, or a run that would be too large.
    """
    locked_parameters.refuse(request.arguments, request.config.locked)
    text = compiling.compile_text(request.pipeline, request.config, request.arguments)
    document, platform = spec.documents(text)
    arguments = parameters.convert(request.arguments, spec.parameter_types(document))
    parameters.require(arguments, spec.required_parameters(document))
    parameter_checks.check(document, arguments)
    if destinations.wants_check(request.config, document, arguments):
        checked = replace(request.config, check_destinations=ALWAYS)
        text = compiling.compile_text(request.pipeline, checked, request.arguments)
        document, platform = spec.documents(text)
    # Long values of the run's parameters count, too.
    estimate.check(estimate.estimate(document, platform, arguments))
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        package = Path(folder) / "pipeline.yaml"
        package.write_text(text, encoding="utf-8")
        yield package, arguments, spec.groups(document)


def experiment_id(client: "kfp.Client", server: Server, request: SubmissionRequest) -> str:
    """Return the id of the request's experiment, which is created if it does not exist."""
    found = client.create_experiment(request.experiment, namespace=server.namespace or None)
    return str(found.experiment_id)
