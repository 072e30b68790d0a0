"""Rollouts of registered versions to KServe: when the champion moves, and how it comes back."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts import lineage, model_signature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import INFERENCE_SERVICE
from kfp_tabular.components.common.registry import (
    ModelVersion,
    Registry,
    VersionDraft,
    open_registry,
)
from kfp_tabular.components.common.registry.port import CHALLENGER, CHAMPION
from kfp_tabular.components.deployment import deploy, redeploy
from kfp_tabular.components.deployment.deployment_request import Deployment
from kfp_tabular.components.deployment.kserve import backend
from kfp_tabular.components.deployment.kserve.rollout.strategy import RolloutError
from kfp_tabular.components.deployment.options import KSERVE
from kfp_tabular.components.deployment.redeploy import Redeployment
from kfp_tabular.pipelines.registered_models import redeployment
from tests.components.common.registry import model_registry_server
from tests.components.deployment.kserve.conftest import NAME, KServeSetup
from tests.components.deployment.kserve.task import QUICK_TIMING
from tests.components.deployment.signing_keys import make_keys

DIRECT = {"strategy": "direct"}


@pytest.fixture
def setup(setup: KServeSetup, monkeypatch: pytest.MonkeyPatch) -> KServeSetup:
    """The cluster, in which `deploy_model` deploys."""

    def quick(request: Any, tell: Any) -> Deployment:
        return backend.run(request, setup.cluster.connect(), QUICK_TIMING, tell)

    monkeypatch.setitem(deploy.BACKENDS, KSERVE, quick)  # type: ignore[arg-type]
    return setup


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = open_registry(f"sqlite:///{tmp_path}/store/mlflow.db")
    assert found is not None
    return found


@pytest.fixture
def kubeflows() -> Iterator[Registry]:
    with model_registry_server.running() as address:
        found = open_registry(address)
        assert found is not None
        yield found


def register(setup: KServeSetup, registry: Registry, model: str, location: str = "") -> str:
    directory = setup.models.folder / model
    documents = setup.folder / f"documents-{model}"
    shutil.copytree(setup.models.golden(model), documents)
    known = registry.aliases(NAME) if NAME in registry.names() else {}
    facts = {"expects": known.get(CHAMPION, "")}
    draft = VersionDraft(lineage.digest(directory), location or str(directory), documents, facts)
    made: ModelVersion = registry.add(NAME, draft)
    registry.point(NAME, CHALLENGER, made.version)
    return made.version


def deployed(
    setup: KServeSetup, registry: Registry, model: str, version: str, **changes: Any
) -> Deployment:
    request = setup.request(
        model,
        **{
            "service": DIRECT,
            "backend": KSERVE,
            "registered_version": version,
            "tracking_uri": registry.address,
            **changes,
        },
    )
    return deploy.run(request, registry)


def test_the_champion_moves_after_the_verified_rollout_and_comes_back(
    setup: KServeSetup, registry: Registry
) -> None:
    for number, model in enumerate(("first", "second"), 1):
        assert register(setup, registry, model) == str(number)
        deployed(setup, registry, model, str(number))
        assert setup.kserve.shares(NAME) == {model: 100}
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}

    register(setup, registry, "wrong")
    with pytest.raises(RolloutError, match="differ from those of the evaluation"):
        deployed(setup, registry, "wrong", "3")
    before = {"champion": "2", "previous": "1", "challenger": "3"}
    assert registry.aliases(NAME) == before
    assert setup.kserve.shares(NAME) == {"second": 100}

    target = redeployment.rollback_target(registry, NAME)
    wanted = Redeployment(
        name=NAME,
        version=target,
        tracking_uri=registry.address,
        reason="rollback",
        by="ann",
        expects="2",
        deployment=redeployment.deployment_of(registry, NAME, {}),
    )
    redeploy.run(wanted)
    assert registry.aliases(NAME) == {**before, "champion": "1", "previous": "2"}
    assert setup.kserve.shares(NAME) == {"first": 100}
    assert registry.version(NAME, "1").locations == (str(setup.models.folder / "first"),)


def test_a_signed_model_is_served_by_an_endpoint_with_the_public_key(
    setup: KServeSetup, registry: Registry, tmp_path: Path
) -> None:
    private, public = make_keys(tmp_path, "own")
    service = {**DIRECT, "public_key_secret": "signing"}
    directory = setup.models.folder / "third"
    version = register(setup, registry, "third")
    try:
        deployed(setup, registry, "third", version, service=service, signing_key=str(private))

        model_signature.verify(directory, public)
        assert lineage.digest(directory) == registry.version(NAME, version).digest
        (found,) = setup.cluster.admin.list(INFERENCE_SERVICE)
        assert '"secretName": "signing"' in json.dumps(found["spec"])
        recorded = redeployment.deployment_of(registry, NAME, {})
        assert recorded["signing_key"] == str(private), "a rollback signs, too"
    finally:
        (directory / model_signature.FILE_NAME).unlink(missing_ok=True)


def test_kubeflows_registry_tells_the_endpoint_where_the_model_is(
    setup: KServeSetup, kubeflows: Registry
) -> None:
    service = {**DIRECT, "model_registry": True}
    for number, model in enumerate(("first", "second"), 1):
        place = f"minio://models/{model}"
        register(setup, kubeflows, model, place)
        deployed(setup, kubeflows, model, str(number), service=service, model_uri=place)
        assert setup.kserve.shares(NAME) == {model: 100}, "as the registry resolves it"
    (found,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    host = kubeflows.address.rpartition("/")[2]
    assert f"model-registry://{host}/{NAME}/2" in json.dumps(found["spec"])
    assert kubeflows.aliases(NAME) == {"champion": "2", "previous": "1"}

    with pytest.raises(UserError, match="reads s3:// and gs:// only. Give a model_repository"):
        deployed(setup, kubeflows, "second", "2", service=service)
