import json
import shlex
import shutil
from pathlib import Path

import pytest
from kfp import dsl

from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment import deploy
from kfp_tabular.components.deployment.component import deploy_model
from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
from kfp_tabular.components.deployment.local.backend import local_path
from kfp_tabular.components.deployment.local.golden_check import MismatchError, largest_difference
from kfp_tabular.components.deployment.options import DeploymentOptions


def difference_to(model, golden):
    return largest_difference(model, GoldenExamples.load(golden))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_model_that_answers_as_in_evaluation_passes(export, task):
    model, golden = export(task)
    assert difference_to(model, golden) < 1e-6


@pytest.mark.parametrize("difference", [2e-5, -0.3])
def test_a_probability_that_differs_fails_and_names_the_row(export, changed_golden, difference):
    model, _ = export()
    p = 0.5 + 0.231058578 + difference
    golden = changed_golden(1, probabilities=[1 - p, p])
    with pytest.raises(MismatchError, match="golden example 1: .*1 of 3 rows") as caught:
        difference_to(model, golden)
    assert f"The difference, {abs(difference):.1g}, exceeds 1e-05" in str(caught.value)


def test_rounding_is_not_a_difference(export, changed_golden):
    model, _ = export()
    p = 0.5 + 0.231058578 + 5e-6
    assert difference_to(model, changed_golden(1, probabilities=[1 - p, p])) < 1e-5


def test_a_large_prediction_is_compared_in_proportion(export, changed_golden):
    model, _ = export("regression")
    largest_difference(
        model, GoldenExamples.load(changed_golden(0, "regression", prediction=1500.01))
    )
    with pytest.raises(MismatchError, match="golden example 0"):
        largest_difference(
            model, GoldenExamples.load(changed_golden(0, "regression", prediction=1500.1))
        )


def test_another_class_at_the_same_probabilities_fails(export, changed_golden):
    model, _ = export()
    golden = changed_golden(2, **{"class": "no"})
    with pytest.raises(MismatchError, match="golden example 2: .* class 'yes' .* 'no'"):
        difference_to(model, golden)


def test_another_models_golden_examples_are_refused(export, changed_golden):
    model, _ = export()
    with pytest.raises(UserError, match="written for another model"):
        difference_to(model, export("regression")[1])
    three = {"probabilities": [0.2, 0.3, 0.5]}
    predictions = [three, three, three]
    golden = GoldenExamples(GoldenExamples.load(export()[1]).instances, predictions)
    with pytest.raises(UserError, match=r"shape \[3, 3\], the model's \[3, 2\]"):
        largest_difference(model, golden)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "[]",
        '{"instances": []}',
        '{"instances": [], "predictions": [1]}',
        '{"instances": null, "predictions": []}',
        '{"instances": 5, "predictions": 5}',
        '{"instances": {"a": 1}, "predictions": [{}]}',
        '{"instances": [1], "predictions": [{}]}',
        '{"instances": [{}], "predictions": ["a"]}',
        '{"instances": [{}], "predictions": "a"}',
    ],
)
def test_golden_examples_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "golden.json").write_text(text)
    with pytest.raises(UserError, match=r"golden\.json"):
        GoldenExamples.load(tmp_path)
    with pytest.raises(UserError, match="evaluate_model writes it"):
        GoldenExamples.load(tmp_path / "absent")


def test_golden_examples_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "golden.json").mkdir()
    with pytest.raises(UserError, match=r"golden\.json: cannot be read: Is a directory"):
        GoldenExamples.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"golden\.json: cannot be read: Not a directory"):
        GoldenExamples.load(tmp_path / "file")


@pytest.fixture
def request_for(export, tmp_path):
    def make(**changes):
        model, golden = export()
        paths = {"model": model, "golden_examples": golden}
        paths |= {name: changes.pop(name) for name in tuple(paths) if name in changes}
        options = {
            "model_name": "taxi",
            "model_repository": str(tmp_path / "repo sitory"),
            **changes,
        }
        return DeploymentRequest(
            **paths, summary=tmp_path / "summary.md", options=DeploymentOptions(**options)
        )

    return make


def test_a_deployment_and_its_retry(request_for, tmp_path):
    deployed = deploy.run(request_for())
    assert deployed.version == "1"
    assert Path(deployed.model_uri) == tmp_path / "repo sitory" / "taxi" / "1"
    assert (Path(deployed.model_uri) / "model.json").is_file()
    again = deploy.run(request_for(model_repository=f"file://{tmp_path}/repo%20sitory"))
    assert (again.model_uri, again.version, again.is_new) == (deployed.model_uri, "1", False)


def test_the_summary_holds_commands_that_a_shell_takes(request_for):
    request = request_for()
    deployed = deploy.run(request)
    lines = request.summary.read_text().splitlines()
    serve = next(line for line in lines if "kfp-tabular serve" in line)
    assert shlex.split(serve) == [
        *("kfp-tabular", "serve", "--model", deployed.model_uri, "--name", "taxi")
    ]
    *_, body = shlex.split(next(line for line in lines if "curl" in line))
    assert json.loads(body) == {"instances": [{"Größe (m)": 1.5, "kind": "flat"}]}


def test_a_mismatch_publishes_nothing(request_for, changed_golden, tmp_path):
    golden = changed_golden(0, probabilities=[0.5, 0.5])
    with pytest.raises(MismatchError):
        deploy.run(request_for(golden_examples=golden))
    assert not (tmp_path / "repo sitory").exists()
    assert not (tmp_path / "summary.md").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "kserv"}, "backend: expected local or kserve, found 'kserv'"),
        (
            {"model_name": "Taxi"},
            "model_name: expected at most 50 .* found 'Taxi'",
        ),
        ({"model_repository": "gs://bucket/models"}, "publishes into a path or file://"),
        ({"model_repository": " "}, "model_repository is empty"),
    ],
)
def test_bad_arguments_are_refused_first(request_for, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        deploy.run(request_for(model=tmp_path / "never loaded", **changes))


def test_a_directory_without_a_model_is_named(request_for, tmp_path, export):
    model = tmp_path / "model"
    shutil.copytree(export()[0], model)
    (model / "saved_model.pb").unlink()
    with pytest.raises(UserError, match=r"no saved_model\.pb here"):
        deploy.run(request_for(model=model))
    (model / "saved_model.pb").write_text("no proto")
    with pytest.raises(UserError, match="not a SavedModel that can be loaded"):
        deploy.run(request_for(model=model))


def test_paths_and_file_uris_are_local():
    assert local_path("/a/b") == local_path("file:///a/b") == Path("/a/b")
    assert local_path("relative/b") == Path("relative/b")
    with pytest.raises(UserError, match="s3://"):
        local_path("s3://bucket/x")
    with pytest.raises(UserError, match="~nobody-of-that-name/x: the home directory"):
        local_path("~nobody-of-that-name/x")


def test_the_component_gives_uri_and_version(export, tmp_path, caplog):
    model, golden = export()
    artifacts = {
        "model": dsl.Model(uri=str(model)),
        "golden_examples": dsl.Artifact(uri=str(golden)),
        "summary": dsl.Markdown(uri=str(tmp_path / "out" / "summary")),
    }
    outputs = deploy_model.python_func(**artifacts, model_repository=str(tmp_path / "r"))
    assert outputs.model_uri == str(tmp_path / "r" / "model" / "1")
    assert outputs.version == "1"
    assert "kfp-tabular serve" in Path(artifacts["summary"].path).read_text()
    with pytest.raises(SystemExit) as ended:
        deploy_model.python_func(**artifacts, model_repository="gs://bucket")
    assert ended.value.code == 2
