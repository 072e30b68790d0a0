"""A transform on a Spark cluster: the graph and the rows of one machine."""

from tests.components.feature_engineering import spread_transform
from tests.components.feature_engineering.test_transformed_examples import (
    request_,  # noqa: F401 - a fixture
)


def test_equal_to_one_machine(cluster, request_, tmp_path, monkeypatch):  # noqa: F811
    document = cluster.document(shards_uri=str(tmp_path / "shards"))
    spread_transform.check(document, request_, tmp_path / "shards", monkeypatch)
