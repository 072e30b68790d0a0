"""The documents of jobs and endpoints check what they share in the same way."""

from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods.pod_settings import WorkloadSettings
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings

DOCUMENTS = [JobSettings, ServiceSettings]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"memory": 4}, "memory: expected a size with its unit"),
    ({"cpu": 0}, "cpu: expected more than 0"),
    ({"gpus": 65}, "gpus: expected 0 to 64"),
    ({"gpu_resource": "gpu"}, "nvidia.com/gpu"),
    ({"env": {"1A": "x"}}, "'1A' is not a valid name for an environment variable"),
    ({"labels": {"team a": "b"}}, "'team a' is not a valid key"),
    ({"annotations": {"team a": "b"}}, "'team a' is not a valid key"),
    ({"node_selector": {"zone": "a b"}}, "'a b' is not a valid label value"),
    ({"image_pull_secrets": ["a", "a"]}, "name 'a' is given twice"),
    ({"image": "a b"}, "expected an image reference"),
    ({"volumes": [{"claim": "c", "mount_path": "/c", "sub_path": "../x"}]}, "inside the volume"),
    ({"tolerations": [{"value": "x"}]}, "operator Equal needs a key"),
]


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_a_wrong_value_gets_one_message_in_every_document(
    document: type[WorkloadSettings], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        document.parse(given)
    assert str(refused.value).startswith(f"{document.DOCUMENT}.")
    assert message in str(refused.value)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_variable_may_have_dots_and_hyphens(document: type[WorkloadSettings]) -> None:
    found: Any = document.parse({"env": {"spring.profile-a": "x"}})
    assert found.env == {"spring.profile-a": "x"}
