"""Trains and exports the model: the component `train_model`.

`train` runs the task; `options` declares its arguments. Training itself is in the folders, each of
which imports only those before it: `distributed`, `input`, `model`, `loop`, `worker`. `kubeflow`
runs workers as a job on the cluster.
"""
