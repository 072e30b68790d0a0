"""What is sent is free of secrets, and addresses are checked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking import address, record, run_artifacts
from kfp_tabular.components.common.tracking.record import Trial


@given(
    user=st.text("abcXYZ019", min_size=1),
    secret=st.text("qQ7", min_size=8),
    path=st.text("abc/", max_size=9),
)
def test_no_secret_of_a_uri_is_recorded(user: str, secret: str, path: str) -> None:
    uri = f"s3://{user}:{secret}@host/{path}?X-Amz-Signature={secret}"

    found = record.texts({"data_uri": uri, "processing": {"conf": {"url": [f"see {uri}"]}}})

    assert secret not in json.dumps(found)
    assert "host/" in found["data_uri"]


@pytest.mark.parametrize(
    "given",
    [
        {"service": {"env": [{"name": "API_TOKEN", "value": "hush"}]}},
        {"database_password": "hush"},
        {"job": {"secretKey": "hush"}},
    ],
)
def test_what_is_named_as_a_secret_is_hidden(given: dict[str, Any]) -> None:
    found = record.texts(given)

    assert "hush" not in json.dumps(found)
    assert record.HIDDEN in json.dumps(found)


def test_kfps_run_is_only_on_kfps_server() -> None:
    variables = {"MLFLOW_TRACKING_URI": "http://kfp:5000", "MLFLOW_RUN_ID": "1f"}

    assert address.resolve("", variables).run_id == "1f"
    assert address.resolve("http://other:5000", variables).run_id == ""


@pytest.mark.parametrize("text", ["mlflow", "ftp://host", "http://", "sqlite:///", "http://[::"])
def test_an_address_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="expected http://HOST"):
        address.resolve(text, {})


def test_a_page_carries_its_trials() -> None:
    listed = [
        {
            "number": 3,
            "state": "failed",
            "parameters": {"name": "</script><b>"},
            "metrics": {"auc": None},
        }
    ]

    text = str(run_artifacts.trials_element(listed))

    assert text.count("</script>") == 1
    assert run_artifacts.trials_in(f"<p>{text}</p>") == (
        Trial(3, {"name": "</script><b>"}, {"auc": None}, "FAILED"),
    )
