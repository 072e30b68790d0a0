"""How good the default model is: public tables, beside three libraries of boosted trees.

    .venvs/author/bin/python -m tests.benchmarks.quality --folder quality [-k NAME ...]

Per table and seed, one fixed split (64% train, 16% eval, 20% test). LightGBM, CatBoost and
scikit-learn's HistGradientBoosting train on `train` and stop early on `eval`; kfp-tabular runs its
tasks on the same CSV file and is measured by the exported SavedModel's predictions for the raw test
rows. The score is the log loss, or the RMSE of a regression. The folder keeps every result: an
interrupted run goes on, and the libraries are trained once.

- `catalog`: the tables. `tables`, `splits`: writes each with its split.
- `libraries`: the three libraries, in an environment of their own. `ours`: kfp-tabular.
- `scores`: the same measures for all. `results`: what is kept. `comparison`: ranks and the table.
"""
