"""The kinds of Kubernetes job that can train, by the name that arguments use for them.

Example:
    >>> {name: kind.resource.api_version for name, kind in JOB_KINDS.items()}
    {'tfjob': 'kubeflow.org/v1', 'trainjob': 'trainer.kubeflow.org/v1alpha1', 'job': 'batch/v1'}
    >>> JOB_KINDS["tfjob"].chief_selector("taxi")
    'training.kubeflow.org/job-name=taxi,training.kubeflow.org/job-role=master'
"""

from collections.abc import Mapping

from kfp_tabular.components.common.training_job.batch_job import BATCH_JOB
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.tfjob import TFJOB
from kfp_tabular.components.common.training_job.trainjob import TRAINJOB

DISTRIBUTED_JOB_KINDS: Mapping[str, JobKind] = {"tfjob": TFJOB, "trainjob": TRAINJOB}
"""The kinds with several pods, for distributed training: backends of train_model."""

JOB_KINDS: Mapping[str, JobKind] = {**DISTRIBUTED_JOB_KINDS, "job": BATCH_JOB}
"""All kinds: the `trial_kind` of tune_hyperparameters."""
