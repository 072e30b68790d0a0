"""Submits a pipeline as a run, or as a schedule of runs."""

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import compile as compiling
from kfp_tabular.pipelines import locked_parameters, parameters, spec
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition
from kfp_tabular.pipelines.kubeflow import cron
from kfp_tabular.pipelines.kubeflow.connection import Server, connect, translated
from kfp_tabular.pipelines.workflow_size import estimate

if TYPE_CHECKING:
    import kfp

EXPERIMENT = "kfp-tabular"

_PAGE = 100

_Compiled = tuple[Path, dict[str, Any], Mapping[str, Sequence[str]]]
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
class RunSchedule:
    """The times of a schedule.

    Attributes:
        cron: A cron expression of five or six fields, in the server's time zone.
        start: RFC 3339 time of the earliest run; empty for now.
        end: RFC 3339 time of the last run; empty for no end.
        max_concurrency: The most runs at a time, from 1 to 10.
        catch_up: Whether runs that were missed while the schedule was off are made up for.
        enabled: Whether the schedule starts at once.

    Example:
        >>> RunSchedule("0 2 * * *", max_concurrency=0)
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --max-concurrency: expected 1 to 10,
        found 0.
    """

    cron: str
    start: str = ""
    end: str = ""
    max_concurrency: int = 1
    catch_up: bool = False
    enabled: bool = True

    def __post_init__(self) -> None:
        # The API takes 1 to 10 (`backend/src/apiserver/server/api_converter.go`).
        if not 1 <= self.max_concurrency <= 10:
            raise UserError(f"--max-concurrency: expected 1 to 10, found {self.max_concurrency}.")
        if (
            self.start
            and self.end
            and (datetime.fromisoformat(self.end) <= datetime.fromisoformat(self.start))
        ):
            raise UserError(f"--end {self.end!r}: expected a time after --start, {self.start!r}.")


@dataclass(frozen=True)
class Submitted:
    """A run or a schedule that the server has created.

    Attributes:
        identifier: The run's or the schedule's id.
        url: The URL of its page.
        tasks: The pipeline's tasks, in order, and the conditions and loops around each.
        replaced: Ids of the schedules that it replaced.
    """

    identifier: str
    url: str
    tasks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    replaced: tuple[str, ...] = field(default=())


def submit(server: Server, request: SubmissionRequest) -> Submitted:
    """Compile the pipeline and start a run.

    Args:
        server: The server to run it on.
        request: The pipeline, and how to run it.

    Raises:
        UserError: For parameters that do not fit, or a request that the server refuses.
    """
    with _compiled(request) as (package, arguments, tasks):
        client = connect(server)
        with translated(server), contextlib.redirect_stdout(io.StringIO()):
            run = client.run_pipeline(
                experiment_id=_experiment(client, server, request),
                job_name=request.name,
                pipeline_package_path=str(package),
                params=arguments,
                pipeline_root=request.pipeline_root or None,
                enable_caching=None if request.caching else False,
                service_account=request.config.service_account or None,
            )
    return Submitted(run.run_id, page(client, "runs/details", run.run_id), tasks)


def schedule(
    server: Server, request: SubmissionRequest, when: RunSchedule, *, replace: bool = False
) -> Submitted:
    """Compile the pipeline and schedule runs of it.

    Args:
        server: The server to run it on.
        request: The pipeline, and how to run it. Its name identifies a schedule in its experiment.
        when: The times.
        replace: Whether to replace schedules of the same name. They are deleted after the new one
            is created; their runs stay.

    Raises:
        UserError: For parameters or times that do not fit, a schedule of that name that exists
            already, or a request that the server refuses.

    Example:
        >>> from kfp_tabular.pipelines import registry
        >>> pipeline = registry.find("validation")
        >>> request = SubmissionRequest(pipeline, PipelineConfig(), {}, name="nightly")
        >>> schedule(Server(), request, RunSchedule("0 24 * * *"))
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --cron '0 24 * * *': hour '24' is not *, a
        number from 0 to 23, a range or a step.
    """
    expression = cron.six_fields(when.cron)
    with _compiled(request) as (package, arguments, tasks):
        client = connect(server)
        with translated(server), contextlib.redirect_stdout(io.StringIO()):
            experiment = _experiment(client, server, request)
            before = _schedules(client, experiment, request.name)
            if before and not replace:
                raise UserError(
                    f"a schedule {request.name!r} exists already ({before[0]}). Replace it with "
                    "--replace, or give this one another --name."
                )
            made = client.create_recurring_run(
                experiment_id=experiment,
                job_name=request.name,
                start_time=when.start or None,
                end_time=when.end or None,
                cron_expression=expression,
                max_concurrency=when.max_concurrency,
                no_catchup=not when.catch_up,
                params=arguments,
                pipeline_package_path=str(package),
                enabled=when.enabled,
                pipeline_root=request.pipeline_root or None,
                enable_caching=None if request.caching else False,
                service_account=request.config.service_account or None,
            )
            for identifier in before:
                client.delete_recurring_run(identifier)
    identifier = made.recurring_run_id
    url = page(client, "recurringrun/details", identifier)
    return Submitted(identifier, url, tasks, tuple(before))


def page(client: "kfp.Client", route: str, identifier: str) -> str:
    """Return the URL of a page of the user interface, which has its routes after `#`."""
    return f"{client._get_url_prefix().rstrip('/')}/#/{route}/{identifier}"


@contextmanager
def _compiled(request: SubmissionRequest) -> Iterator[_Compiled]:
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        package = Path(folder) / "pipeline.yaml"
        locked_parameters.refuse(request.arguments, request.config.locked)
        compiling.compile_pipeline(request.pipeline, request.config, package)
        compiled = spec.load(package)
        arguments = parameters.convert(request.arguments, spec.parameter_types(compiled))
        parameters.require(arguments, spec.required_parameters(compiled))
        # Long values of the run's parameters count, too.
        platform = spec.platform(package.read_text(encoding="utf-8"))
        estimate.check(estimate.estimate(compiled, platform, arguments))
        yield package, arguments, spec.groups(compiled)


def _experiment(client: "kfp.Client", server: Server, request: SubmissionRequest) -> str:
    found = client.create_experiment(request.experiment, namespace=server.namespace or None)
    return str(found.experiment_id)


def _schedules(client: "kfp.Client", experiment: str, name: str) -> list[str]:
    found, token = [], ""
    while True:
        answer = client.list_recurring_runs(
            page_token=token, page_size=_PAGE, experiment_id=experiment
        )
        found += [
            entry.recurring_run_id
            for entry in answer.recurring_runs or ()
            if entry.display_name == name
        ]
        token = answer.next_page_token or ""
        if not token:
            return found
