"""The Markdown page of a rollout."""

import shlex
from urllib.parse import urlsplit

from kfp_tabular.components.deployment.kserve.resources.inference_service import (
    Wanted,
    predict_path,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    Access,
)
from kfp_tabular.components.deployment.kserve.rollout.strategy import Outcome


def markdown(wanted: Wanted, outcome: Outcome, body: str, namespace: str) -> str:
    """Gives the page.

    Args:
        wanted: What was deployed.
        outcome: What came of it.
        body: A request's body.
        namespace: Where the endpoint is.
    """
    state = "Deployed now." if outcome.changed else "Served already; nothing was changed."
    lines = [
        f"# {wanted.name}",
        "",
        f"{state} Model version {wanted.version}, revision `{outcome.revision}` in namespace "
        f"`{namespace}`.",
        "",
        f"    {outcome.url}",
        "",
        "KServe loads the model from",
        "",
        f"    {outcome.model_uri}",
    ]
    if outcome.steps:
        lines += ["", "Verified, strategy " + f"`{wanted.settings.strategy}`:", ""]
        lines += [f"- {step}" for step in outcome.steps]
    lines += ["", "Ask it:", "", f"    {command(wanted, outcome, body)}"]
    if outcome.inside and outcome.inside != outcome.url:
        lines += ["", f"Inside of the cluster it is `{outcome.inside}`."]
    return "\n".join(lines) + "\n"


def command(wanted: Wanted, outcome: Outcome, body: str) -> str:
    """Gives a command for a shell that asks the endpoint.

    Args:
        wanted: What was deployed.
        outcome: What came of it.
        body: A request's body.
    """
    access = wanted.settings.access
    url, headers = _address(outcome, access)
    headers.append("Content-Type: application/json")
    if wanted.settings.auth_secret or access.token_file:
        headers.append("Authorization: Bearer $TOKEN")
    parts = ["curl"]
    for header in headers:
        # The shell is to fill in the token.
        quoted = f'"{header}"' if "$" in header else shlex.quote(header)
        parts += ["-H", quoted]
    parts += [shlex.quote(url + predict_path(wanted.name)), "-d", shlex.quote(body)]
    return " ".join(parts)


def _address(outcome: Outcome, access: Access) -> tuple[str, list[str]]:
    """Gives an address that surely leads there, and the headers that it takes."""
    if access.via == "gateway":
        parts = urlsplit(outcome.url)
        url = access.gateway.rstrip("/") + parts.path.rstrip("/")
        return url, [f"Host: {parts.netloc}"]
    inside = access.via == "cluster" and outcome.inside
    return (outcome.inside if inside else outcome.url).rstrip("/"), []
