"""Which of the places of a model still has one."""

from collections.abc import Iterable

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder
from kfp_tabular.components.common.storage.location import parse

_MARK = "model.json"


def is_there(uri: str) -> bool:
    """Whether a directory with a model is at a URI.

    Example:
        >>> is_there("/missing/model")
        False
    """
    location = parse(uri)
    if location.is_local:
        return location.path.is_dir()
    return Folder(uri).read_text(_MARK) is not None


def first_there(uris: Iterable[str], what: str) -> str:
    """Return the first URI at which a model is.

    Args:
        uris: URIs of directories.
        what: What they belong to, for the message.

    Raises:
        UserError: If none has one.
    """
    tried = list(uris)
    for uri in tried:
        if is_there(uri):
            return uri
    raise UserError(
        f"{what}: its model is gone: nothing is at {' or '.join(tried)}. Restore it there, or "
        "register the model anew."
    )
