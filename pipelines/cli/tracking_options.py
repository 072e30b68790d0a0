"""The option `--tracking-uri`, and what it means for the tasks of a run."""

import os
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

import click

from kfp_tabular.components.common.errors import UserError

if TYPE_CHECKING:
    from kfp_tabular.components.common.tracking import Address

_LOGIN = (401, 403)
_SECONDS = 5.0

tracking_option = click.option(
    "--tracking-uri",
    default="",
    metavar="URI",
    help="Where runs are recorded: an MLflow server (http://...), sqlite:///FILE, or none; by "
    "default $MLFLOW_TRACKING_URI, or the store in $KFP_TABULAR_HOME (.kfp-tabular).",
)

store_option = click.option(
    "--tracking-uri",
    default="",
    envvar="MLFLOW_TRACKING_URI",
    metavar="URI",
    help="The registry: a server, or sqlite:///FILE; by default that of local runs.",
)


def for_run(text: str, environment: MutableMapping[str, str] = os.environ) -> "Address":
    """Return where a run is recorded, and tell its tasks by their environment.

    Args:
        text: What `--tracking-uri` gives.
        environment: The environment that tasks inherit.

    Raises:
        UserError: Not an address, or a server that does not accept the login.
    """
    from kfp_tabular.components.common.tracking import address, resolve

    found = resolve(text, environment, by_default=True)
    if found.kind == "server":
        check_login(found, environment)
        environment[address.SERVER_VARIABLE] = found.uri
    elif text or address.SERVER_VARIABLE in environment:
        environment[address.SERVER_VARIABLE] = found.uri or address.NONE
    else:
        environment[address.HOME_VARIABLE] = str(address.home(environment))
    return found


def check_login(found: "Address", environment: MutableMapping[str, str]) -> None:
    """Check that a server accepts the login, before a run starts.

    One that does not answer is no error: the run says so where it would record.

    Raises:
        UserError: It refuses the login.
    """
    import urllib3

    headers = {}
    name, token = "MLFLOW_TRACKING_USERNAME", environment.get("MLFLOW_TRACKING_TOKEN")
    if environment.get(name):
        password = environment.get("MLFLOW_TRACKING_PASSWORD", "")
        headers = urllib3.make_headers(basic_auth=f"{environment[name]}:{password}")
    elif token:
        headers = {"Authorization": f"Bearer {token}"}
    url = f"{found.uri}/api/2.0/mlflow/experiments/get?experiment_id=0"
    try:
        answer = urllib3.request("GET", url, headers=headers, timeout=_SECONDS, retries=False)
    except (urllib3.exceptions.HTTPError, OSError):
        return
    if answer.status in _LOGIN:
        raise UserError(
            f"--tracking-uri {found.shown}: the server refuses this login ({answer.status}). Set "
            f"{name} and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
