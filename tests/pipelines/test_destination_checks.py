"""A task checks early what a run writes to late: where it is needed, and with the same rights."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration, registry
from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines.compile import compile_text

CHECK = "check-destinations"
MODELS = {"claim": "models", "mount_path": "/models"}
STUDIES = {"claim": "studies", "mount_path": "/studies"}

OWN_PIPELINE = """
from kfp import dsl, kubernetes

from kfp_tabular.components import deploy_model, ingest_data, train_model, transform_features


@dsl.component(base_image="python:3.13")
def choose() -> str:
    return "/models"


@dsl.pipeline(name="own")
def own(data_uri: str, folder: str = "/checkpoints", claim: str = "models"):
    examples = ingest_data(data_uri=data_uri).outputs["examples"]
    schema = dsl.importer(artifact_uri="gs://a/schema", artifact_class=dsl.Artifact)
    features = transform_features(examples=examples, schema=schema.output, label="y")
    training = train_model(
        transformed_examples=features.outputs["transformed_examples"],
        transform_graph=features.outputs["transform_graph"],
        checkpoint_uri=f"{folder}/a",
    )
    kubernetes.mount_pvc(training, "checkpoints", "/checkpoints")
    golden = dsl.importer(artifact_uri="gs://a/golden", artifact_class=dsl.Artifact)
    with dsl.If(data_uri != ""):
        for repository in REPOSITORIES:
            deployment = deploy_model(
                model=training.outputs["model"],
                golden_examples=golden.output,
                model_repository=repository,
            )
            kubernetes.mount_pvc(deployment, PVC, "/models")
"""


def compiled(document: object, pipeline: str = "training") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tasks at the top of a compiled pipeline, and the settings of all pods."""
    definition = registry.find(pipeline)
    config = configuration.parse(document, "a.yaml", definition.tasks)
    spec, *platform = yaml.safe_load_all(compile_text(definition, config))
    pods = platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return spec["root"]["dag"]["tasks"], pods


def deployed(volumes: list[dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    return {"tasks": {"deploy-model": {"volumes": volumes}}, "parameters": parameters}


@pytest.mark.parametrize(
    ("document", "is_checked"),
    [
        ({}, False),
        (deployed([], model_repository="/models"), False),
        (deployed([MODELS]), True),
        (deployed([MODELS], model_repository="/models/team"), True),
        (deployed([MODELS], model_repository="file:///models"), True),
        (deployed([MODELS], model_repository="/modelstore"), False),
        (deployed([], model_repository="s3://models"), True),
        (deployed([MODELS], model_repository="gs://models"), True),
        ({"locked": {"model_repository": "minio://models"}}, True),
        ({**deployed([MODELS]), "locked": {"model_repository": ""}}, False),
        ({**deployed([MODELS]), "check_destinations": "never"}, False),
        ({"check_destinations": "always"}, True),
        ({"tasks": {"tune-hyperparameters": {"volumes": [STUDIES]}}}, True),
        ({"tasks": {"ingest-data": {"volumes": [MODELS]}}}, False),
        ({"parameters": {"study_directory": "s3://studies"}}, True),
    ],
    ids=str,
)
def test_there_is_a_pod_only_where_there_is_something_to_check(
    document: dict[str, Any], is_checked: bool
) -> None:
    tasks, _ = compiled(document)

    assert (CHECK in tasks) == is_checked


def test_the_first_task_does_not_wait_and_the_next_one_does() -> None:
    tasks, _ = compiled(deployed([MODELS]))

    assert "dependentTasks" not in tasks[CHECK]
    assert "dependentTasks" not in tasks["ingest-data"]
    assert tasks["validate-data"]["dependentTasks"] == [CHECK, "ingest-data"]
    assert not tasks[CHECK]["cachingOptions"]


def test_one_pod_checks_for_all_that_write_with_the_rights_of_each() -> None:
    document = {
        "registry": "registry.example.com/ml",
        "defaults": {
            "secrets": [{"name": "store", "env": {"k": "K"}}],
            "env": {"A": "1"},
            "image_pull_secrets": ["pull"],
            "run_as_group": 500,
            "memory": "1G",
        },
        "tasks": {
            "deploy-model": {"volumes": [MODELS], "timeout": "3h"},
            "tune-hyperparameters": {"volumes": [STUDIES]},
        },
    }

    tasks, pods = compiled(document)

    given = tasks[CHECK]["inputs"]["parameters"]
    assert {name for name, source in given.items() if "componentInputParameter" in source} == {
        "model_repository",
        "model_name",
        "study_directory",
    }
    pod = pods[f"exec-{CHECK}"]
    assert [mount["mountPath"] for mount in pod["pvcMount"]] == ["/studies", "/models"]
    assert pod["securityContext"] == {"runAsGroup": "500"}
    assert pod["activeDeadlineSeconds"] == "600"
    for key in ("secretAsEnv", "imagePullSecret", "securityContext"):
        assert pod[key] == pods["exec-deploy-model"][key]
    image = compiled_images(document)[CHECK]
    assert image.startswith("registry.example.com/ml/launcher:")


def compiled_images(document: object) -> dict[str, str]:
    definition = registry.find("training")
    config = configuration.parse(document, "a.yaml", definition.tasks)
    return specs.tasks(specs.parse(compile_text(definition, config)))


def test_tasks_that_cannot_share_a_pod_get_one_each() -> None:
    document = {
        "tasks": {
            "deploy-model": {"volumes": [MODELS]},
            "tune-hyperparameters": {"volumes": [{**MODELS, "claim": "others"}]},
        }
    }

    tasks, pods = compiled(document)

    assert {CHECK, f"{CHECK}-2"} <= tasks.keys()
    claims = {pods[f"exec-{name}"]["pvcMount"][0]["constant"] for name in (CHECK, f"{CHECK}-2")}
    assert claims == {"models", "others"}
    assert tasks["validate-data"]["dependentTasks"] == [CHECK, f"{CHECK}-2", "ingest-data"]


def test_a_volume_is_prepared_by_root_for_the_group_of_the_tasks() -> None:
    document = deployed([{**MODELS, "prepare": True}])
    document["tasks"]["deploy-model"] |= {"run_as_user": 1000, "run_as_group": 500}

    tasks, pods = compiled(document)

    prepare = tasks[CHECK]["inputs"]["parameters"]["prepare"]
    assert prepare == {"runtimeValue": {"constant": ["/models"]}}
    assert pods[f"exec-{CHECK}"]["securityContext"] == {"runAsUser": "0", "runAsGroup": "500"}
    assert pods["exec-deploy-model"]["securityContext"] == {
        "runAsUser": "1000",
        "runAsGroup": "500",
    }


def test_a_volume_of_a_task_that_writes_no_place_is_prepared_too() -> None:
    """Such as one for a function of the user's own."""
    data = {"claim": "data", "mount_path": "/data", "prepare": True}
    document = {"tasks": {"ingest-data": {"volumes": [data]}}}

    tasks, pods = compiled(document)

    given = tasks[CHECK]["inputs"]["parameters"]
    assert given == {"prepare": {"runtimeValue": {"constant": ["/data"]}}}
    assert pods[f"exec-{CHECK}"]["securityContext"] == {"runAsUser": "0"}
    assert tasks["ingest-data"]["dependentTasks"] == [CHECK]
    assert (
        tasks["validate-data"]["dependentTasks"] == ["ingest-data"]
        or CHECK in (tasks["validate-data"]["dependentTasks"])
    )


def test_one_pod_prepares_a_volume_of_all_tasks() -> None:
    document = {
        "defaults": {"volumes": [{"claim": "all", "mount_path": "/all", "prepare": True}]},
        "parameters": {"model_repository": "/all/models"},
    }

    tasks, pods = compiled(document)

    assert f"{CHECK}-2" not in tasks
    assert tasks[CHECK]["inputs"]["parameters"]["prepare"]["runtimeValue"]["constant"] == ["/all"]
    assert len(pods[f"exec-{CHECK}"]["pvcMount"]) == 1
    assert tasks["ingest-data"]["dependentTasks"] == [CHECK]


def test_a_preparation_that_could_not_happen_is_refused() -> None:
    document = {**deployed([{**MODELS, "prepare": True}]), "check_destinations": "never"}

    with pytest.raises(UserError, match="prepare: true for /models has no effect, because check_d"):
        compiled(document)


def test_the_workspace_of_a_run_is_checked() -> None:
    place = "{{$.workspace_path}}/models"
    document = {
        "workspace": {"size": "1Gi"},
        "parameters": {"model_repository": place},
        "locked": {"study_directory": place},
    }

    tasks, _ = compiled(document)

    given = tasks[CHECK]["inputs"]["parameters"]
    assert given["study_directory"] == {"runtimeValue": {"constant": place}}
    assert "model_repository" in given


def own(tmp_path: Path, repositories: str, claim: str = '"models"') -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN_PIPELINE.replace("REPOSITORIES", repositories).replace("PVC", claim))
    return f"{path}:own"


def test_a_pipeline_of_ones_own_with_mounts_of_its_own(tmp_path: Path) -> None:
    tasks, pods = compiled({}, own(tmp_path, '["/models"]'))

    given = tasks[CHECK]["inputs"]["parameters"]
    assert given["model_repository"] == {"runtimeValue": {"constant": "/models"}}
    assert "checkpoint_uri" in given
    mounts = [mount["constant"] for mount in pods[f"exec-{CHECK}"]["pvcMount"]]
    assert mounts == ["checkpoints", "models"]
    assert CHECK in tasks["transform-features"]["dependentTasks"]


def test_two_deployments_get_a_check_each(tmp_path: Path) -> None:
    tasks, _ = compiled({}, own(tmp_path, '["/models", "/models/b"]'))

    given = [tasks[name]["inputs"]["parameters"] for name in (CHECK, f"{CHECK}-2")]
    assert [entry["model_repository"]["runtimeValue"]["constant"] for entry in given] == [
        "/models",
        "/models/b",
    ]


@pytest.mark.parametrize(
    ("repositories", "claim"), [("[choose().output]", '"models"'), ('["/models"]', "claim")]
)
def test_what_is_known_only_later_is_left_to_the_task(
    tmp_path: Path, repositories: str, claim: str
) -> None:
    tasks, _ = compiled({}, own(tmp_path, repositories, claim))

    assert "model_repository" not in tasks[CHECK]["inputs"]["parameters"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"check_destinations": "sometimes"}, "check_destinations: expected auto, always or never"),
        ({"defaults": {"run_as_user": 0}}, "defaults.run_as_user: expected 1 to"),
        ({"defaults": {"run_as_group": -1}}, "defaults.run_as_group: expected 0 to"),
        ({"defaults": {"volumes": [{**MODELS, "prepare": "yes"}]}}, "prepare: expected true or"),
    ],
)
def test_a_wrong_setting_is_named(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        configuration.parse(document, "a.yaml", [])
