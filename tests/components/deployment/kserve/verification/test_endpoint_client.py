"""How a task reaches what it verifies."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.verification_settings import EndpointAccess
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress
from kfp_tabular.components.deployment.kserve.verification.endpoint_client import EndpointClient


@pytest.mark.parametrize("token", ["", "\n", "secret-1\nsecret-2\n", "sécret-1", "secret\x00"])
def test_a_token_that_no_header_takes_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")

    with pytest.raises(UserError, match="access.token_file .*: expected one token") as caught:
        EndpointClient(EndpointAccess(token_file=str(file)), 1).post(
            EndpointAddress("http://127.0.0.1:9"), "/", b""
        )

    assert "cret" not in str(caught.value)
