from dataclasses import replace

import pytest

from kfp_tabular.components.tuning.local import samplers
from kfp_tabular.components.tuning.local.study import Study, StudyPlan, open_study
from kfp_tabular.components.tuning.search import search_space
from kfp_tabular.components.tuning.search.trials import Trial
from tests.components.tuning.conftest import SPACE

PLAN = StudyPlan(
    space=search_space.parse(SPACE),
    algorithm=samplers.Algorithm("tpe", {"n_startup_trials": "2"}),
    goal="maximize",
    seed=3,
    base={"learning_rate": 0.001, "dropout": 0.1},
)


def finished(trial: Trial) -> Trial:
    """End a trial in a way that depends only on its values."""
    rate = float(trial.values["learning_rate"])
    if rate > 0.05:
        return replace(trial, state="failed", message="exit code 1: too fast")
    if rate < 0.0005:
        nan = float("nan")
        return replace(trial, state="early_stopped", objective=0.1, reports=(nan, 0.1))
    return replace(trial, state="succeeded", objective=0.9 - rate, reports=(0.5, 0.9 - rate))


def complete(study: Study, trials: int) -> list[Trial]:
    for trial in study.trials:
        if trial.state == "running":
            study.close(finished(trial))
    while len(study.trials) < trials:
        asked = study.ask()
        assert asked is not None
        study.close(finished(asked))
    return study.trials


def test_a_study_interrupted_anywhere_continues_as_if_it_had_not_been(tmp_path):
    with open_study(tmp_path / "whole", PLAN, {}) as study:
        whole = complete(study, 8)
        journal = (study.directory / "journal.log").read_bytes()
        name = study.directory.name
    assert len({trial.state for trial in whole}) > 1
    cuts = sorted({*range(0, len(journal), 331), len(journal) - 1, len(journal)})
    for cut in cuts:
        directory = tmp_path / f"cut-{cut}" / name
        directory.mkdir(parents=True)
        (directory / "journal.log").write_bytes(journal[:cut])
        (directory / "journal.log.lock").symlink_to("journal.log")
        with open_study(directory.parent, PLAN, {}) as study:
            again = complete(study, 8)
        assert [_what(trial) for trial in again] == [_what(trial) for trial in whole]


def _what(trial: Trial) -> object:
    """Return everything but the number, which has gaps where a start was interrupted."""
    return trial.values, trial.state, trial.objective, repr(trial.reports), trial.message


def test_one_process_at_a_time(tmp_path):
    with (
        open_study(tmp_path, PLAN, {}),
        pytest.raises(RuntimeError, match="another tuning task is working on this study"),
        open_study(tmp_path, PLAN, {}),
    ):
        pass
    with open_study(tmp_path, PLAN, {}):
        pass


def test_what_the_results_depend_on_makes_the_study(tmp_path):
    plans = [PLAN, replace(PLAN, seed=4), replace(PLAN, goal="minimize")]
    names = set()
    for plan in plans:
        for dependencies in ({}, {"inputs": "sha256:1"}):
            with open_study(tmp_path, plan, dependencies) as study:
                names.add(study.directory.name)
    assert len(names) == 6


def test_forget_failuresn_failures_are_made_up_for_with_other_values(tmp_path):
    plan = replace(PLAN, algorithm=samplers.Algorithm("random"))
    with open_study(tmp_path, plan, {}) as study:
        for _ in range(3):
            asked = study.ask()
            study.close(replace(asked, state="failed"))
        failed = study.trials
        study.forget_failures()
        assert study.trials == []
    with open_study(tmp_path, plan, {}) as study:
        assert study.trials == []
        again = [study.ask() for _ in range(3)]
    assert [trial.number for trial in again] == [3, 4, 5]
    assert again[0].values == failed[0].values, "the base gets another chance"
    assert again[1].values not in [trial.values for trial in failed]
