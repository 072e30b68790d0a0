"""The job that a task requests, and where its results go."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.kubeflow import job_plan
from kfp_tabular.components.training.kubeflow.job_plan import TrainingJobPlan, TrainingJobRequest
from kfp_tabular.components.training.kubeflow.render import render_tfjob, render_trainjob
from kfp_tabular.components.training.options import PlacementOptions
from kfp_tabular.components.training.training_request import ArtifactUris
from kfp_tabular.components.training.worker_settings import WorkerSettings
from tests.cluster import schemas

RUN = "6f6e4a0c-6f0c-4a0e-9a53-3c9a6b9b1c55"
ROOT = f"minio://mlpipeline/v2/artifacts/tabular/{RUN}"
URIS = ArtifactUris(
    f"{ROOT}/transform-features/1/examples",
    f"{ROOT}/transform-features/1/graph",
    f"{ROOT}/train-model/2/model",
)
HERE = Path("/here")


def make(uris: ArtifactUris = URIS, *, image: str = "", **changes: Any) -> TrainingJobPlan:
    settings = changes.pop(
        "settings", WorkerSettings(HERE / "e", HERE / "g", HERE / "m", HERE / "l")
    )
    placement = PlacementOptions(**{"backend": "tfjob", "run_id": RUN, **changes})
    return job_plan.make(TrainingJobRequest(settings, placement, uris), image=image)


def flag(plan: TrainingJobPlan, name: str) -> str:
    found = [value for value in plan.spec.arguments if value.startswith(f"--{name}=")]
    assert len(found) == 1
    return found[0].partition("=")[2]


def test_the_job_works_in_a_folder_of_its_own_in_the_runs() -> None:
    plan = make()

    assert plan.prefix == f"{ROOT}/kfp-tabular-jobs/{plan.spec.name}"
    assert flag(plan, "output") == plan.model == f"{plan.prefix}/model"
    assert flag(plan, "logs") == plan.logs == f"{plan.prefix}/logs"
    assert flag(plan, "checkpoints") == f"{plan.prefix}/checkpoints"
    assert flag(plan, "transformed-examples") == URIS.transformed_examples
    assert not any(str(HERE) in argument for argument in plan.spec.arguments)


def test_without_a_run_the_folder_is_next_to_the_model() -> None:
    plan = make(dataclasses.replace(URIS, model="gs://bucket/x/model"), run_id="")

    assert plan.prefix == f"gs://bucket/x/kfp-tabular-jobs/{plan.spec.name}"


def test_every_hyperparameter_is_a_flag() -> None:
    wanted = Hyperparameters(model_type="dcn_v2", hidden_units="8,4", learning_rate=0.25)
    settings = WorkerSettings(
        HERE, HERE, HERE, HERE, hyperparameters=wanted, seed=7, model_fn="a.b:c"
    )
    plan = make(settings=settings)

    for field in dataclasses.fields(wanted):
        assert flag(plan, field.name.replace("_", "-")) == str(getattr(wanted, field.name))
    assert (flag(plan, "seed"), flag(plan, "model-fn")) == ("7", "a.b:c")
    assert not any(argument.startswith("--hyperparameters") for argument in plan.spec.arguments)


def test_an_attempt_finds_the_job_of_the_one_before() -> None:
    assert make() == make()
    assert make().resource == make().resource


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "another"},
        {"backend": "trainjob"},
        {"settings": WorkerSettings(HERE, HERE, HERE, HERE, seed=1)},
        {"uris": dataclasses.replace(URIS, model=f"{ROOT}/train-model-2/3/model")},
    ],
)
def test_another_task_gets_another_job(changes: dict[str, Any]) -> None:
    assert make(**changes).spec.name != make().spec.name


def test_what_the_pods_ask_for_does_not_change_the_name() -> None:
    changed = make(job={"memory": "8Gi"})

    # So an attempt with other settings finds the earlier job and reports it.
    assert changed.spec.name == make().spec.name
    assert changed.resource["spec"] != make().resource["spec"]


def test_the_image_is_the_tasks_own_unless_it_is_given() -> None:
    own, given = "registry.example.com/ml/own:1", "registry.example.com/ml/given:1"

    assert make(image=own).spec.settings.image == own
    assert make(image=own, job={"image": given}).spec.settings.image == given


def test_the_number_of_workers_is_given_once() -> None:
    assert make(workers=3).spec.settings.workers == 3
    assert make(job={"workers": 3.0}).spec.settings.workers == 3
    assert make(job={"workers": 3}, workers=3).spec.settings.workers == 3
    with pytest.raises(UserError, match=r"workers is 2 and job.workers is 3"):
        make(job={"workers": 3}, workers=2)
    with pytest.raises(UserError, match=r"job.workers: expected 1 to 1000"):
        make(workers=5000)


@pytest.mark.parametrize("name", ["transformed_examples", "transform_graph", "model"])
def test_a_path_of_the_task_is_refused(name: str) -> None:
    uris = dataclasses.replace(URIS, **{name: "/data/somewhere"})

    with pytest.raises(UserError, match=rf"{name}: /data/somewhere is a path in this task's pod"):
        make(uris, job={"volumes": [{"claim": "c", "mount_path": "/data2"}]})
    assert make(uris, job={"volumes": [{"claim": "c", "mount_path": "/data"}]})


def test_results_need_a_volume_that_can_be_written_to() -> None:
    volume = {"claim": "c", "mount_path": "/data", "read_only": True}
    uris = ArtifactUris("/data/e", "/data/g", "/data/m")

    with pytest.raises(UserError, match="model: /data/m is in the volume at /data.*read-only"):
        make(uris, job={"volumes": [volume]})
    nested = {"claim": "d", "mount_path": "/data/out"}
    assert make(dataclasses.replace(uris, model="/data/out/m"), job={"volumes": [volume, nested]})


def test_an_unknown_kind_of_job_is_refused() -> None:
    with pytest.raises(UserError, match="'tfjobs'.*Did you mean 'tfjob'"):
        make(backend="tfjobs")


CONFIG = {
    **dataclasses.asdict(URIS),
    "run_id": RUN,
    "workers": 2,
    "namespace": "team-a",
    "seed": 0.0,
    "hyperparameters": {"epochs": 3.0},
    "job": {"memory": "8Gi"},
}


@schemas.needed
@pytest.mark.parametrize("render", [render_tfjob, render_trainjob])
def test_what_is_rendered_is_what_the_task_would_create(render: Any) -> None:
    resource = render(CONFIG)
    settings = WorkerSettings(HERE, HERE, HERE, HERE, hyperparameters=Hyperparameters(epochs=3))
    backend = resource["kind"].lower()
    plan = make(backend=backend, workers=2, job={"memory": "8Gi"}, settings=settings)

    assert schemas.problems(resource) == []
    assert resource["spec"] == plan.resource["spec"]
    assert resource["metadata"]["name"] == plan.spec.name
    assert resource["metadata"]["namespace"] == "team-a"
    assert resource["metadata"]["annotations"]["kfp-tabular.dev/spec-digest"]


def test_a_config_that_does_not_fit_is_one_line() -> None:
    with pytest.raises(UserError, match=r"a\.yaml: unknown key 'worker'.*'workers'"):
        render_tfjob({**CONFIG, "worker": 3}, "a.yaml")
    with pytest.raises(UserError, match=r"a\.yaml: 'model' is missing"):
        render_tfjob({key: CONFIG[key] for key in CONFIG if key != "model"}, "a.yaml")
    with pytest.raises(UserError, match="hyperparameter 'epoch' is unknown"):
        render_tfjob({**CONFIG, "hyperparameters": {"epoch": 3}}, "a.yaml")
