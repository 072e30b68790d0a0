"""How a task reaches an endpoint and its candidates."""

from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    EndpointStatus,
    read,
)
from kfp_tabular.components.deployment.kserve.resources.verification_settings import EndpointAccess
from kfp_tabular.components.deployment.kserve.verification import endpoint_address
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress
from tests.components.deployment.kserve.resources.test_inference_service_status import CANARY


def test_ways_to_the_candidate() -> None:
    status = read(CANARY)
    gateway = EndpointAccess(via="gateway", gateway="http://gateway/")

    assert endpoint_address.candidate(status, EndpointAccess()) == EndpointAddress(
        "http://latest-taxi-predictor.team.svc.cluster.local"
    )
    assert endpoint_address.candidate(status, EndpointAccess(via="url")) == EndpointAddress(
        "http://latest-taxi-predictor.team.example.com"
    )
    assert endpoint_address.candidate(status, gateway) == EndpointAddress(
        "http://gateway", "latest-taxi-predictor.team.example.com"
    )
    assert endpoint_address.predictor(status, EndpointAccess()) == EndpointAddress(
        "http://taxi-predictor.team.svc.cluster.local"
    )
    assert endpoint_address.candidate(EndpointStatus(), EndpointAccess()) is None


def test_a_path_based_url_keeps_its_path() -> None:
    status = EndpointStatus(url="http://example.com/serving/team/taxi", address="http://inside")
    access = EndpointAccess(via="gateway", gateway="http://gateway:8080")

    assert endpoint_address.predictor(status, access) == EndpointAddress(
        "http://gateway:8080/serving/team/taxi", "example.com"
    )
