"""Hyperparameter tuning.

- `component`: the KFP interface; `options` its arguments; `tune` what it does.
- `search`: what every search has: its space, objective, early stopping rule and trials.
- `local`: runs a search in the task, with Optuna and one process per trial.
- `katib`: runs a search as a Katib Experiment.
- `tuning_report`: the page about a search.
"""
