"""`_signature.json`: the signature of a model, as OpenSSF's model-signing writes it.

It is a Sigstore bundle that signs the name and SHA-256 of every file, so the `model_signing`
command verifies it, too. Digests alone show damage; only a signature shows who made the model.

    python -m kfp_tabular.components.common.artifacts.model_signature DIRECTORY PUBLIC_KEY
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kfp_tabular.components.common.errors import UserError, reported_to_user, shown

FILE_NAME = "_signature.json"

_CHANGED = re.compile(r"Hash mismatch for \\?'([^'\\]+)")
_MISSING = re.compile(r"Missing files in model \\?'[^']*': ([^\"'\\]+)")
_ADDED = re.compile(r"Extra files found in model \\?'[^']*': ([^\"'\\]+)")


def sign(directory: Path, private_key: Path) -> str:
    """Return the signature of a model.

    Args:
        directory: The model's directory. Its files are signed, except names that start with a dot.
        private_key: A private key in PEM: P-256, P-384 or P-521, without a password.

    Raises:
        UserError: If the key cannot be used.
    """
    from model_signing import hashing, signing

    _check_key(private_key, "signing_key")
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=private_key)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"signing_key: {shown(private_key)} is not a private key in PEM of the curve P-256, "
            f"P-384 or P-521 without a password: {_one_line(error)}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        target = Path(folder) / FILE_NAME
        hashed = hashing.Config().set_ignored_paths(paths=_ignored(directory))
        config.set_hashing_config(hashed).sign(directory, target)
        return target.read_text(encoding="utf-8")


def is_signed(directory: Path) -> bool:
    """Whether a model has a signature, valid or not.

    Example:
        >>> is_signed(Path("/missing/model"))
        False
    """
    return (directory / FILE_NAME).is_file()


def verify(directory: Path, public_key: Path) -> None:
    """Check that a model is signed with a key, and is as it was signed.

    Args:
        directory: The model's directory, with the signature in it.
        public_key: The public key in PEM.

    Raises:
        UserError: If it is not signed with this key, or a file was changed, added or removed; the
            message names the file.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import hashing, verifying

    _check_key(public_key, "--public-key")
    signature = directory / FILE_NAME
    if not is_signed(directory):
        raise UserError(
            f"{shown(signature)}: missing: the model is not signed, and a public key is given. "
            "Deploy it with signing_key."
        )
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"--public-key: {shown(public_key)} is not a public key in PEM of the curve P-256, "
            f"P-384 or P-521: {_one_line(error)}"
        ) from error
    hashed = hashing.Config().set_ignored_paths(paths=_ignored(directory))
    hashed.set_allow_symlinks(True)
    try:
        config.set_hashing_config(hashed).verify(directory, signature)
    except InvalidSignature as error:
        raise UserError(
            f"{shown(signature)}: not a valid signature by {shown(public_key)}. {_REMEDY}"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{_problem(directory, signature, str(error))} {_REMEDY}") from error


_REMEDY = "Sign and publish the model again."


def _problem(directory: Path, signature: Path, text: str) -> str:
    for pattern, what in (
        (_CHANGED, "it was changed after it was signed."),
        (_MISSING, "missing, although it was signed."),
        (_ADDED, "added after the model was signed."),
    ):
        match = pattern.search(text)
        if match is not None:
            name = match[1].split(", ")[0]
            return f"{shown(directory / name)}: {what}"
    if "Key mismatch" in text:
        return f"{shown(signature)}: signed with another key."
    return f"{shown(signature)}: not a signature: {_one_line(text)[:200]}"


def _ignored(directory: Path) -> list[str]:
    """Return what is not signed: the signature, and what tools put there to copy files."""
    hidden = [entry.name for entry in directory.iterdir() if entry.name.startswith(".")]
    return [FILE_NAME, *sorted(hidden)]


def _check_key(file: Path, option: str) -> None:
    if not file.is_file():
        raise UserError(f"{option}: {shown(file)} not found; expected a key in PEM.")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


def main(arguments: Sequence[str]) -> None:
    """Verify the model in a directory with a public key: the two arguments."""
    directory, public_key = map(Path, arguments)
    with reported_to_user():
        verify(directory, public_key)


if __name__ == "__main__":
    main(sys.argv[1:])
