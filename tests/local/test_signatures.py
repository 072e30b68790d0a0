"""`kfp-tabular models verify --public-key`, from an environment that cannot verify signatures."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import VersionDraft, open_registry
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.environments.location import Environments

SIGN = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kfp_tabular.components.common.artifacts import model_signature

folder, model = map(Path, sys.argv[1:])
key = ec.generate_private_key(ec.SECP256R1())
plain = serialization.NoEncryption()
pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
(folder / "private.pem").write_bytes(key.private_bytes(pem, form, plain))
public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
(folder / "public.pem").write_bytes(public)
signature = model_signature.sign(model, folder / "private.pem")
(model / model_signature.FILE_NAME).write_text(signature)
"""


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """Two places of the same version: as it was published, signed, and as it was trained."""
    made = tmp_path / "trained", tmp_path / "published"
    for model in made:
        files.write_text(model / "model.json", "{}")
        file_digests.write(model)
    python = Environments.find().python("serving")
    script = [str(python), "-c", SIGN, str(tmp_path), str(made[1])]
    subprocess.run(script, check=True, timeout=300)
    registry = open_registry(f"sqlite:///{tmp_path}/mlflow.db")
    assert registry is not None
    (tmp_path / "documents").mkdir()
    draft = VersionDraft(lineage.digest(made[0]), str(made[0]), tmp_path / "documents")
    version = registry.add("taxi", draft)
    registry.locate(version, str(made[1]))
    return made


def verify(folder: Path):
    arguments = ["--public-key", str(folder / "public.pem")]
    arguments += ["--tracking-uri", f"sqlite:///{folder}/mlflow.db"]
    return CliRunner().invoke(cli, ["models", "verify", "taxi/1", *arguments])


def test_what_was_published_must_be_signed(tmp_path: Path, models: tuple[Path, Path]) -> None:
    assert importlib.util.find_spec("model_signing") is None, f"{sys.executable} can do it itself"
    _, published = models

    done = verify(tmp_path)

    assert done.exit_code == 0, done.output
    assert f"{published} holds" in done.output
    assert "signature is valid\n" in done.output
    assert ", not signed\n" in done.output

    (published / "_signature.json").unlink()
    refused = verify(tmp_path)
    assert isinstance(refused.exception, UserError)
    assert f"{published}/_signature.json: missing: the model is not signed" in str(
        refused.exception
    )


def test_another_key_is_one_line(tmp_path: Path, models: tuple[Path, Path]) -> None:
    content = (models[1] / "_signature.json").read_text()
    python = Environments.find().python("serving")
    script = [str(python), "-c", SIGN, str(tmp_path), str(models[1])]
    subprocess.run(script, check=True, timeout=300)
    (models[1] / "_signature.json").write_text(content)

    refused = verify(tmp_path)

    assert isinstance(refused.exception, UserError)
    assert "_signature.json: signed with another key" in str(refused.exception)
