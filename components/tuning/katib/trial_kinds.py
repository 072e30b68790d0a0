"""The kinds of job that a Katib trial can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import EXPERIMENT
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.tuning.katib import trial_command

_CONDITION = 'status.conditions.#(type=="%s")#|#(status=="True")#'
"""A GJSON path, like those of Katib's own defaults."""

_TRIAL_SUFFIX = len("-12345678")
"""Katib names a trial and its job after the Experiment, with a suffix."""


@dataclass(frozen=True)
class TrialKind:
    """A kind of job that a Katib trial can be.

    Attributes:
        job: The kind of job.
    """

    job: JobKind

    @property
    def success_condition(self) -> str:
        """How Katib recognizes a job that succeeded."""
        return _CONDITION % self.job.succeeded

    @property
    def failure_condition(self) -> str:
        """How Katib recognizes a job that failed."""
        return _CONDITION % self.job.failed

    @property
    def name_limit(self) -> int:
        """The longest name, in characters, of an Experiment whose trials are jobs of this kind."""
        return min(EXPERIMENT.name_limit, self.job.resource.name_limit - _TRIAL_SUFFIX)

    def template(self, spec: TrainingJobSpec, searched: Sequence[str]) -> dict[str, Any]:
        """Return the job of a trial.

        Args:
            spec: The job; its arguments are the same for all trials.
            searched: Arguments with Katib's placeholders.

        Raises:
            UserError: For settings that this kind cannot express.
        """
        template = self.job.template(spec)
        for container in self.job.training_containers(template):
            words = [*container["command"], *spec.arguments]
            container["command"] = trial_command.script(words, searched)
            container.pop("args", None)
        return template


TRIAL_KINDS: Mapping[str, TrialKind] = {name: TrialKind(job) for name, job in JOB_KINDS.items()}
"""By the value of the argument `trial_kind`."""
