"""Where runs are recorded: an embedded store, a server, or nowhere."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from kfp_tabular.components.common.errors import UserError

HOME_VARIABLE = "KFP_TABULAR_HOME"
"""Names the folder of the embedded store; `.kfp-tabular` below the current folder by default."""

SERVER_VARIABLE = "MLFLOW_TRACKING_URI"
RUN_VARIABLE = "MLFLOW_RUN_ID"
"""Names the run that Kubeflow Pipelines opens from 2.17 on, in a task's environment."""

NONE = "none"
MEANING = (
    "Where runs are recorded and models are registered: an MLflow server (`http://...`), "
    "`sqlite:///...`, or `none`. Empty: `MLFLOW_TRACKING_URI`, or the embedded store."
)

_HOME = ".kfp-tabular"
_DATABASE = "mlflow.db"
_ARTIFACTS = "artifacts"
_SQLITE = "sqlite:///"

Kind = Literal["embedded", "server", "none"]


@dataclass(frozen=True)
class Address:
    """Where runs are recorded.

    Attributes:
        kind: `embedded` for a SQLite file on this machine, `server` for an MLflow server.
        uri: MLflow's tracking URI; empty for `none`.
        artifacts: The folder of an embedded store's artifacts; None for the others.
        run_id: The run that KFP opened there; empty where there is none to attach to.
    """

    kind: Kind
    uri: str = ""
    artifacts: Path | None = None
    run_id: str = ""

    @property
    def database(self) -> Path:
        """The SQLite file of an embedded store."""
        return Path(self.uri.removeprefix(_SQLITE))

    @property
    def shown(self) -> str:
        """The address without credentials, for messages and logs.

        Example:
            >>> Address("server", "https://me:secret@mlflow.example.com/team").shown
            'https://mlflow.example.com/team'
        """
        if self.kind == NONE:
            return NONE
        return str(self.database) if self.kind == "embedded" else without_credentials(self.uri)


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the embedded store.

    Example:
        >>> home({"KFP_TABULAR_HOME": "/data/tracking"})
        PosixPath('/data/tracking')
    """
    return Path(environment.get(HOME_VARIABLE) or _HOME).absolute()


def embedded(folder: Path) -> Address:
    """Return the address of the embedded store in a folder."""
    return Address("embedded", f"{_SQLITE}{folder / _DATABASE}", folder / _ARTIFACTS)


def resolve(
    text: str = "", environment: Mapping[str, str] = os.environ, *, by_default: bool = False
) -> Address:
    """Return where to record.

    Args:
        text: `--tracking-uri`, or the argument `tracking_uri` of a task. Empty:
            `MLFLOW_TRACKING_URI`, then the embedded store of `KFP_TABULAR_HOME`.
        environment: The environment's variables.
        by_default: Whether the embedded store is below the current folder where
            `KFP_TABULAR_HOME` is not set; a pod's folder would vanish with the pod.

    Raises:
        UserError: For an address that is none of these.

    Example:
        >>> resolve("", {}).kind, resolve("", {}, by_default=True).kind, resolve("none", {}).kind
        ('none', 'embedded', 'none')
        >>> resolve("", {"MLFLOW_TRACKING_URI": "http://mlflow:5000"}).uri
        'http://mlflow:5000'
        >>> resolve("mlflow:5000", {})
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: tracking_uri 'mlflow:5000': expected
        http://HOST, https://HOST, sqlite:///FILE or none.
    """
    source = "tracking_uri" if text else SERVER_VARIABLE
    given = text or environment.get(SERVER_VARIABLE, "")
    if not given:
        if environment.get(HOME_VARIABLE) or by_default:
            return embedded(home(environment))
        return Address("none")
    if given == NONE:
        return Address("none")
    if given.startswith(_SQLITE) and len(given) > len(_SQLITE):
        file = Path(given.removeprefix(_SQLITE)).absolute()
        return Address("embedded", f"{_SQLITE}{file}", file.parent / _ARTIFACTS)
    try:
        parts = urlsplit(given)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise UserError(
            f"{source} {without_credentials(given)!r}: expected http://HOST, https://HOST, "
            "sqlite:///FILE or none."
        )
    # KFP's run is on the server that KFP names, not on another one.
    is_kfps = given == environment.get(SERVER_VARIABLE)
    return Address(
        "server", given.rstrip("/"), run_id=environment.get(RUN_VARIABLE, "") if is_kfps else ""
    )


def without_credentials(uri: str) -> str:
    """Return a URI without user, password, query and fragment, which may be secrets.

    Example:
        >>> without_credentials("https://bucket.example.com/rows.csv?X-Amz-Signature=0a1b")
        'https://bucket.example.com/rows.csv'
        >>> without_credentials("data/rows.csv")
        'data/rows.csv'
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "(not a URI)"
    if not parts.netloc:
        return uri
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
