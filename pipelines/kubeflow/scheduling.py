"""Schedules runs of a pipeline."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.kubeflow import cron, submission
from kfp_tabular.pipelines.kubeflow.connection import Server, connect, translated
from kfp_tabular.pipelines.kubeflow.replacement import (
    ExistingSchedule,
    Replacement,
    ReplacementPolicy,
)
from kfp_tabular.pipelines.kubeflow.submission import SubmissionRequest

if TYPE_CHECKING:
    import kfp

_PAGE = 100


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
class Scheduled:
    """A schedule that the server has created.

    Attributes:
        identifier: The schedule's id.
        url: The URL of its page.
        replaced: Ids of the schedules that it replaced.
        left: Ids of the schedules that are off, but still there for the sake of their runs.
    """

    identifier: str
    url: str
    replaced: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def schedule(
    server: Server,
    request: SubmissionRequest,
    when: RunSchedule,
    replace: ReplacementPolicy | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Scheduled:
    """Compile the pipeline and schedule runs of it.

    Args:
        server: The server to run it on.
        request: The pipeline, and how to run it. Its name identifies a schedule in its experiment.
        when: The times.
        replace: How schedules of the same name are replaced; None if there must be none.
        say: Is told what is waited for.

    Raises:
        UserError: For parameters or times that do not fit, a schedule of that name that exists
            already, a run of one that has not ended, or a request that the server refuses.
        RunTimeoutError: If a run of an old schedule did not end in time. Nothing is replaced then.

    Example:
        >>> from kfp_tabular.pipelines import registry
        >>> from kfp_tabular.pipelines.configuration import PipelineConfig
        >>> pipeline = registry.find("validation")
        >>> request = SubmissionRequest(pipeline, PipelineConfig(), {}, name="nightly")
        >>> schedule(Server(), request, RunSchedule("0 24 * * *"))
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --cron '0 24 * * *': hour '24' is not *, a
        number from 0 to 23, a range or a step.
    """
    expression = cron.six_fields(when.cron)
    with submission.compiled(request) as (package, arguments, _):
        client = connect(server)
        with translated(server), contextlib.redirect_stdout(io.StringIO()):
            experiment = submission.experiment_id(client, server, request)
            existing = _existing(client, experiment, request.name)
            if existing and replace is None:
                raise UserError(
                    f"a schedule {request.name!r} exists already ({existing[0].identifier}). "
                    "Replace it with --replace, or give this one another --name."
                )
            replacement = Replacement(server, experiment, existing, replace, say)
            replacement.check()
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
                # The old schedules go first.
                enabled=when.enabled and not existing,
                pipeline_root=request.pipeline_root or None,
                enable_caching=None if request.caching else False,
                service_account=request.config.service_account or None,
            )
            identifier = made.recurring_run_id
            replacement.carry_out(identifier, enable=when.enabled)
    url = submission.page(client, "recurringrun/details", identifier)
    return Scheduled(identifier, url, replacement.deleted, replacement.left)


def _existing(client: "kfp.Client", experiment: str, name: str) -> tuple[ExistingSchedule, ...]:
    found: list[ExistingSchedule] = []
    token = ""
    while True:
        answer = client.list_recurring_runs(
            page_token=token, page_size=_PAGE, experiment_id=experiment
        )
        found += [
            ExistingSchedule(entry.recurring_run_id, is_enabled=entry.status != "DISABLED")
            for entry in answer.recurring_runs or ()
            if entry.display_name == name
        ]
        token = answer.next_page_token or ""
        if not token:
            return tuple(found)
