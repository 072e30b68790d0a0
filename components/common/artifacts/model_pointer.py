"""`model_pointer.json`: where a registered model's bytes are, and their digest."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError

FILE_NAME = "model_pointer.json"


@dataclass(frozen=True)
class ModelPointer:
    """Where a model is.

    Attributes:
        digest: Digest of its content, `sha256:<hex>`.
        locations: URIs of directories that hold it, the newest first.
    """

    digest: str
    locations: Sequence[str]

    def text(self) -> str:
        """Return the content of the file.

        Example:
            >>> pointer = ModelPointer("sha256:0", ["/srv/models/taxi/1"])
            >>> ModelPointer.parse(pointer.text(), "file") == pointer
            True
        """
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str, source: object) -> "ModelPointer":
        """Read the content of the file.

        Args:
            text: The content.
            source: Where it is from, for the message.

        Raises:
            UserError: If it is something else.
        """
        try:
            document: Any = json.loads(text)
            digest, locations = document["digest"], document["locations"]
            if not isinstance(digest, str) or not all(isinstance(uri, str) for uri in locations):
                raise TypeError("not text")
        except (ValueError, TypeError, LookupError) as error:
            raise UserError(f"{source}: not a pointer to a model: {error!r}.") from error
        return cls(digest, list(locations))

    @classmethod
    def load(cls, file: Path) -> "ModelPointer":
        """Read a file.

        Raises:
            UserError: If it cannot be read, or is something else.
        """
        try:
            return cls.parse(file.read_text(encoding="utf-8"), file)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: cannot be read: {error}.") from error
