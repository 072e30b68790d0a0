import pytest

from kfp_tabular.serving.auth.key_ring import KeyRing
from tests.serving.auth.mounted_secret import KEY, OTHER_KEY, Secret


@pytest.fixture
def secret(tmp_path):
    return Secret(tmp_path / "keys")


@pytest.fixture
def ring(secret):
    secret.write(web=KEY, batch=OTHER_KEY)
    return KeyRing(secret.mount)
