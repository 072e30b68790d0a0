import pytest

from kfp_tabular.serving.protocol import routes


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/models/fraud:predict", "predict"),
        ("/v2/models/fraud/infer", "predict"),
        ("/v2/models/fraud/versions/7/ready", "ready"),
        ("/v2/models/fraud/ready/", None),
        ("/v1/models/a/b:predict", None),
        ("/metrics/x", None),
        ("", None),
        (f"/v1/models/{'a' * 500}:predict", "predict"),
        (f"/v1/models/{'a' * 500}:predicts", None),
    ],
)
def test_a_path_has_an_operation(path, operation):
    assert routes.operation_of_path(path) == operation
