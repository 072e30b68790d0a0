"""The Markdown page of a rollout."""

import shlex
from urllib.parse import urlsplit

from kfp_tabular.components.deployment.kserve.resources.inference_service import (
    EndpointSpec,
    predict_path,
)
from kfp_tabular.components.deployment.kserve.resources.verification_settings import EndpointAccess
from kfp_tabular.components.deployment.kserve.rollout.strategy import RolloutResult


def markdown(spec: EndpointSpec, result: RolloutResult, body: str, namespace: str) -> str:
    """Return the page.

    Args:
        spec: What was deployed.
        result: The endpoint after the rollout.
        body: The body of a sample request.
        namespace: The endpoint's namespace.

    Example:
        >>> from kfp_tabular.components.deployment.kserve.resources import service_settings
        >>> settings = service_settings.ServiceSettings()
        >>> spec = EndpointSpec("taxi", settings, "s3://models/taxi", "sha256:0123abcd")
        >>> result = RolloutResult(True, "taxi-predictor-00001", "https://taxi.example.org")
        >>> print(markdown(spec, result, "{}", "fares"))
        # taxi
        <BLANKLINE>
        Deployed now. Model version 19114957, revision `taxi-predictor-00001` in namespace `fares`.
        ...
    """
    state = "Deployed now." if result.is_changed else "Already deployed; nothing was changed."
    lines = [
        f"# {spec.name}",
        "",
        f"{state} Model version {spec.version}, revision `{result.revision}` in namespace "
        f"`{namespace}`.",
        "",
        f"    {result.url}",
        "",
        "KServe loads the model from",
        "",
        f"    {result.model_uri}",
    ]
    if result.steps:
        lines += ["", "Verified, strategy " + f"`{spec.settings.strategy}`:", ""]
        lines += [f"- {step}" for step in result.steps]
    lines += ["", "Query it:", "", f"    {query_command(spec, result, body)}"]
    if result.cluster_url and result.cluster_url != result.url:
        lines += ["", f"Inside the cluster its URL is `{result.cluster_url}`."]
    return "\n".join(lines) + "\n"


def query_command(spec: EndpointSpec, result: RolloutResult, body: str) -> str:
    """Return a shell command that queries the endpoint.

    Args:
        spec: What was deployed.
        result: The endpoint after the rollout.
        body: The body of a request.

    Example:
        >>> from kfp_tabular.components.deployment.kserve.resources import service_settings
        >>> settings = service_settings.ServiceSettings()
        >>> spec = EndpointSpec("taxi", settings, "s3://models/taxi", "sha256:0123abcd")
        >>> result = RolloutResult(True, "taxi-predictor-00001", "https://taxi.example.org")
        >>> print(query_command(spec, result, '{"instances": [{"hour": 7}]}'))
        curl -H 'Content-Type: application/json' https://taxi.example.org/v1/models/taxi:predict
        -d '{"instances": [{"hour": 7}]}'
    """
    access = spec.settings.access
    url, headers = _address(result, access)
    headers.append("Content-Type: application/json")
    if spec.settings.auth_secret or access.token_file:
        headers.append("Authorization: Bearer $TOKEN")
    parts = ["curl"]
    for header in headers:
        # The shell inserts the token.
        quoted = f'"{header}"' if "$" in header else shlex.quote(header)
        parts += ["-H", quoted]
    parts += [shlex.quote(url + predict_path(spec.name)), "-d", shlex.quote(body)]
    return " ".join(parts)


def _address(result: RolloutResult, access: EndpointAccess) -> tuple[str, list[str]]:
    """Return a URL that reaches the endpoint from where the task runs, and the headers it needs."""
    if access.via == "gateway":
        parts = urlsplit(result.url)
        url = access.gateway.rstrip("/") + parts.path.rstrip("/")
        return url, [f"Host: {parts.netloc}"]
    inside = access.via == "cluster" and result.cluster_url
    return (result.cluster_url if inside else result.url).rstrip("/"), []
