"""The worker: one process of a training, run as `python -m kfp_tabular.components.training.worker`.

`program` parses its flags, `role_dispatch` does its role's work, `training_process` trains.
"""
