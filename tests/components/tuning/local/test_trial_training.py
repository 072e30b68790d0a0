from kfp_tabular.components.tuning.local import trial_training


def test_trials_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    inherited = {"PATH": "/bin", "TF_CONFIG": "{}", "OMP_NUM_THREADS": "3"}
    alone = trial_training.environment(inherited, parallel=1)
    assert "TF_CONFIG" not in alone
    assert "TF_NUM_INTRAOP_THREADS" not in alone
    assert alone["TF_USE_LEGACY_KERAS"] == "1"
    shared = trial_training.environment(inherited, parallel=4)
    assert shared["TF_NUM_INTRAOP_THREADS"] == "2"
    assert shared["OMP_NUM_THREADS"] == "3"
