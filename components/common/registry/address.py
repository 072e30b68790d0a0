"""How the registry is named, in the words of all components that use it."""

TRACKING_URI = """The registry of models: an MLflow server (`http://`), a file (`sqlite:///...`),
Kubeflow's Model Registry (`model-registry+http://`), or `none`. Empty: that of
`MLFLOW_TRACKING_URI`, or of the local run; on a cluster without it none."""
"""The meaning of the option `tracking_uri`."""
