"""What tracking uses of MLflow beyond its documented interface."""

import inspect

from kfp_tabular.components.common.tracking import mlflow_client
from tests.private_seams import seam


def test_the_tables_of_an_empty_store_are_made() -> None:
    with seam(
        "mlflow-skinny",
        "mlflow.store.db.utils._initialize_tables",
        user="components/common/tracking/embedded_store.py",
    ):
        mlflow_client.load()
        from mlflow.store.db import utils

        assert list(inspect.signature(utils._initialize_tables).parameters) == ["engine"]
