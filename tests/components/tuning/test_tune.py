import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning import tune

from .conftest import SPACE, STAND_IN, double


def test_the_best_trial_wins_and_is_written(make_request):
    request = make_request(trials=6)
    result = tune.run(request)

    written = Hyperparameters.load(request.hyperparameters)
    assert written == result.hyperparameters
    assert result.metrics["trials"] == result.metrics["trials_succeeded"] == 6
    expected = 0.9 - 0.15  # of the second epoch, at the optimum of the formula
    assert 0.65 < result.metrics["eval_auc"] <= expected
    assert written.epochs == 2
    page = request.report.read_text()
    assert f"{result.metrics['eval_auc']:.4}" in page
    assert result.lineage["inputs"]["transformed_examples"].startswith("sha256:")
    assert result.lineage["searched"]["learning_rate"] == written.learning_rate
    assert not list(request.hyperparameters.parent.glob(".*"))


def test_the_base_is_the_first_trial_where_the_space_holds_it(make_request, tmp_path):
    result = tune.run(make_request(trials=1, learning_rate=0.003, dropout=0.25))
    assert result.hyperparameters == Hyperparameters(epochs=2, learning_rate=0.003, dropout=0.25)
    result = tune.run(make_request(trials=1, learning_rate=0.5))
    assert result.hyperparameters.learning_rate <= 0.1


def test_same_seed_same_trials(make_request, tmp_path):
    first = tune.run(make_request(trials=14, study_directory=str(tmp_path / "a")))
    again = tune.run(make_request(trials=14, study_directory=str(tmp_path / "b")))
    other = tune.run(make_request(trials=14, study_directory=str(tmp_path / "c"), seed=8))
    assert first.hyperparameters == again.hyperparameters
    assert _values(tmp_path / "a") == _values(tmp_path / "b")
    assert _values(tmp_path / "a") != _values(tmp_path / "c")
    assert other.metrics["trials"] == 14


def test_a_larger_max_trials_continues_the_earlier_search(make_request, tmp_path):
    tune.run(make_request(trials=12, study_directory=str(tmp_path / "whole")))
    tune.run(make_request(trials=5, study_directory=str(tmp_path / "parts")))
    before = _trial_files(tmp_path / "parts")
    tune.run(make_request(trials=12, study_directory=str(tmp_path / "parts")))
    assert before.items() <= _trial_files(tmp_path / "parts").items()
    assert _values(tmp_path / "parts") == _values(tmp_path / "whole")


def test_other_data_is_another_study(make_request, tmp_path):
    studies = tmp_path / "studies"
    tune.run(make_request(trials=2, study_directory=str(studies)))
    (tmp_path / "transformed_examples" / "content").write_text("other rows")
    tune.run(make_request(trials=3, study_directory=str(studies)))
    assert sorted(len(list(study.glob("trials/*"))) for study in studies.iterdir()) == [2, 3]


@pytest.mark.parametrize("algorithm", ["random", "tpe", "multivariate-tpe", "cmaes"])
def test_each_algorithm_runs(make_request, algorithm, tmp_path):
    studies = tmp_path / "studies"
    result = tune.run(
        make_request(trials=13, algorithm=algorithm, study_directory=str(studies), parallel=2)
    )
    assert result.metrics["trials_succeeded"] == 13
    assert len({json.dumps(values) for values in _values(studies)}) == 13


def test_a_grid_ends_when_it_is_used_up(make_request, tmp_path):
    space = [
        double("dropout", "0", "0.2", step="0.1"),
        {"name": "batch_size", "parameterType": "discrete", "feasibleSpace": {"list": [64, 32]}},
    ]
    result = tune.run(
        make_request(
            trials=50,
            parallel=3,
            algorithm="grid",
            search_space=space,
            study_directory=str(tmp_path / "studies"),
        )
    )
    assert result.metrics["trials"] == 6
    tried = {(v["dropout"], v["batch_size"]) for v in _values(tmp_path / "studies")}
    assert tried == {(d, b) for d in (0.0, 0.1, 0.2) for b in (32, 64)}
    assert result.hyperparameters.dropout == 0.0


def test_medianstop_ends_bad_trials(make_request, caplog):
    space = [
        {
            "name": "dropout",
            "parameterType": "discrete",
            "feasibleSpace": {"list": ["0", "0.1", "0.9"]},
        }
    ]
    caplog.set_level("INFO")
    result = tune.run(
        make_request(
            trials=3,
            search_space=space,
            algorithm="grid",
            seed=5,  # walks 0 and 0.1 before 0.9
            min_trials_required=2,
            start_step=2,
            epochs=20,
            train_steps=50,
        )
    )
    assert result.metrics["trials_early_stopped"] == 1
    assert result.metrics["trials_succeeded"] == 2
    assert result.hyperparameters.dropout == 0.0
    assert "trial 2 early stopped" in caplog.text


def test_trials_that_fail_are_passed_over(make_request):
    space = [{"name": "l2", "parameterType": "discrete", "feasibleSpace": {"list": ["0", "0.9"]}}]
    request = make_request(trials=2, search_space=space, algorithm="grid")
    result = tune.run(request)
    assert result.hyperparameters.l2 == 0.0
    assert result.metrics["trials_failed"] == 1
    assert "l2 of 0.9 is too much" in request.report.read_text()


def test_the_search_stays_away_from_what_fails(make_request):
    space = [
        *SPACE,
        {"name": "l2", "parameterType": "discrete", "feasibleSpace": {"list": ["0", "0.9"]}},
    ]
    result = tune.run(make_request(trials=30, search_space=space, max_failed_trials=30))
    # Half of the first ten are random, and fail by chance; a sampler that ignored failures
    # would go on like that.
    assert 1 <= result.metrics["trials_failed"] < 10


def test_too_many_failures_for_bad_input_are_a_user_error(make_request):
    request = make_request(trials=9, l2=0.7, max_failed_trials=1)
    with pytest.raises(UserError, match=r"max_failed_trials=1 .*trials 0, 1: exit code 2: l2 of"):
        tune.run(request)
    assert not request.hyperparameters.exists()


def test_crashes_are_a_failure_that_may_be_retried(make_request):
    request = make_request(trials=2, embedding_dimension=13)
    with pytest.raises(RuntimeError, match=r"no trial succeeded.*0, 1: exit code 1.*no memory"):
        tune.run(request)
    # The retry finds better times, and makes up for the trials that had failed.
    with pytest.raises(RuntimeError, match="trials 2, 3"):
        tune.run(request)


def test_a_trial_without_the_metric_is_reported(make_request):
    with pytest.raises(RuntimeError, match="it did not report 'eval_pr_auc'"):
        tune.run(make_request(trials=1, objective_metric="eval_pr_auc"))


def test_divergence_does_not_count_as_failure(make_request):
    space = [
        {"name": "cross_layers", "parameterType": "discrete", "feasibleSpace": {"list": [1, 99]}}
    ]
    request = make_request(trials=2, search_space=space, algorithm="grid", max_failed_trials=0)
    result = tune.run(request)
    assert result.metrics["trials_diverged"] == 1
    with pytest.raises(UserError, match="never finite"):
        tune.run(make_request(trials=2, cross_layers=99))


def test_a_regression_minimises(make_request, tmp_path):
    tune_task = tmp_path / "transform_graph" / "task.json"
    tune_task.write_text(tune_task.read_text().replace("binary", "regression"))
    result = tune.run(make_request(trials=5))
    assert "eval_rmse" in result.metrics
    assert result.lineage["objective"]["goal"] == "minimize"
    assert result.metrics["eval_rmse"] < 1 - 0.65


def test_max_trials_0_passes_the_base_through_and_starts_nothing(make_request, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    request = make_request(trials=0, batch_size=99)
    result = tune.run(request)
    assert Hyperparameters.load(request.hyperparameters) == request.options.hyperparameters()
    assert result.metrics == {}
    assert "99" in request.report.read_text()


def test_passing_through_imports_neither_tensorflow_nor_optuna(make_request):
    code = (
        "import sys\n"
        "from kfp_tabular.components.tuning import tune\n"
        "print(sorted({'tensorflow', 'optuna', 'numpy', 'kfp'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "kubeflow"}, "backend: expected local or katib, found 'kubeflow'"),
        (
            {"algorithm": "hyperband"},
            "hyperband needs backend katib; backend local has random",
        ),
        ({"algorithm": "tpee"}, "'tpee' is unknown. Did you mean 'tpe'"),
        ({"early_stopping": "median"}, "Did you mean 'medianstop'"),
        ({"start_step": 0}, "start_step: expected at least 1"),
        ({"model_type": "dnnn"}, "found 'dnnn'. Did you mean 'dnn'"),
        ({"objective_metric": "eval_gini"}, "Set objective_goal"),
        ({"algorithm_settings": {"startup_trials": 3}}, "Did you mean 'n_startup_trials'"),
    ],
)
def test_a_request_that_cannot_be_met(make_request, changes, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        tune.run(make_request(**changes))


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import logging
logging.basicConfig(level="INFO")
from pathlib import Path
from kfp_tabular.components.tuning import tune
from kfp_tabular.components.tuning.options import TuningOptions
from kfp_tabular.components.tuning.tuning_request import TuningRequest
root = Path({root!r})
options = TuningOptions(
    epochs=3, train_steps=100, search_space={space!r}, max_trials=6, parallel_trials=2, seed=7,
    algorithm="random", study_directory=str(root / "studies"),
)
tune.run(TuningRequest(
    options, root / "transformed_examples", root / "transform_graph",
    root / "killed" / "hyperparameters", root / "killed" / "report.html", program={program!r},
))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_search_leaves_no_process_and_is_resumed(make_request, tmp_path, number):
    request = make_request(
        trials=6,
        parallel=2,
        algorithm="random",
        train_steps=100,
        epochs=3,
        study_directory=str(tmp_path / "studies"),
    )
    code = KILLED.format(
        tests=str(Path(__file__).parent),
        root=str(tmp_path),
        space=request.options.search_space,
        program=STAND_IN,
    )
    victim = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert victim.stderr is not None
    for line in victim.stderr:
        if "trial 3 started" in line:
            break
    victim.send_signal(number)
    victim.stderr.read()
    assert victim.wait(20) == (143 if number == signal.SIGTERM else -9)
    assert _processes_in(tmp_path) == []
    before = _trial_files(tmp_path / "studies")

    tune.run(request)

    finished = {name: content for name, content in before.items() if content.count("\n") == 3}
    assert len(finished) >= 2
    after = _trial_files(tmp_path / "studies")
    assert finished.items() <= after.items()
    assert len(after) == 6
    assert all(content.count("\n") == 3 for content in after.values())
    uninterrupted = make_request(
        trials=6, algorithm="random", train_steps=100, epochs=3, study_directory=str(tmp_path / "u")
    )
    tune.run(uninterrupted)
    assert _values(tmp_path / "studies") == _values(tmp_path / "u")


def _values(studies: Path) -> list[dict[str, object]]:
    documents = sorted(studies.glob("study-*/trials/*/hyperparameters.json"))
    return [json.loads(document.read_text()) for document in documents]


def _trial_files(studies: Path) -> dict[str, str]:
    return {
        str(path.relative_to(studies)): path.read_text()
        for path in studies.glob("study-*/trials/*/metrics.txt")
    }


def _processes_in(directory: Path) -> list[str]:
    """Return command lines of running processes that contain a directory, after a moment."""
    for _ in range(20):
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if str(directory) in line:
                    found.append(line)
        if not found:
            return []
        time.sleep(0.1)
    return found


def test_a_search_ends_at_its_target(make_request):
    request = make_request(trials=6, algorithm="random", objective_target="0.1")
    assert tune.run(request).metrics["trials"] == 1


def test_a_target_must_be_a_number(make_request):
    with pytest.raises(UserError, match="objective_target: expected a number, found"):
        tune.run(make_request(objective_target="best"))


def test_additional_metrics_are_shown(make_request):
    request = make_request(
        trials=2, algorithm="random", additional_metrics={"eval_rmse": "", "epoch": "latest"}
    )
    tune.run(request)
    page = request.report.read_text()
    headers = re.findall(r"<th[^>]*>([^<]+)</th>", page)
    at = headers.index("Objective")
    assert headers[at + 1 : at + 3] == ["eval_rmse", "epoch"]
