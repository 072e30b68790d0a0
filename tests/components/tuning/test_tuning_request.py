import sys

from kfp_tabular.components.tuning import tuning_request


def test_a_task_starts_trials_as_it_was_started(monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("_KFP_RUNTIME", raising=False)
    assert tuning_request.training_worker()[0] == sys.executable
    monkeypatch.setenv("_KFP_RUNTIME", "true")
    assert tuning_request.training_worker()[0] == str(python)
