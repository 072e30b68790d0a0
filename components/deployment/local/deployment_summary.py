"""The Markdown page of a deployment."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """What the page tells.

    Attributes:
        name: The model's name.
        model_uri: What a server loads.
        version: Its version.
        new: Whether it was made now.
        compared: How many golden examples were compared.
        difference: The largest difference found.
        instance: A raw row to ask for.
    """

    name: str
    model_uri: str
    version: str
    new: bool
    compared: int
    difference: float
    instance: Mapping[str, Any]


def markdown(facts: Facts) -> str:
    """Gives the page."""
    state = "Published now." if facts.new else "Already published; nothing was changed."
    checked = (
        f"The answers for {facts.compared} golden examples differ from the evaluation's by at most "
        f"{facts.difference:.2g}."
        if facts.compared
        else "There were no golden examples to compare."
    )
    body = json.dumps({"instances": [facts.instance]}, ensure_ascii=False)
    serve = f"kfp-tabular serve --model {shlex.quote(facts.model_uri)} --name {facts.name}"
    ask = (
        "curl -H 'Content-Type: application/json' "
        f"http://localhost:8080/v1/models/{facts.name}:predict -d {shlex.quote(body)}"
    )
    lines = [
        f"# {facts.name}, version {facts.version}",
        "",
        f"{state} {checked}",
        "",
        f"    {facts.model_uri}",
        "",
        "Serve it:",
        "",
        f"    {serve}",
        "",
        "Ask it:",
        "",
        f"    {ask}",
    ]
    return "\n".join(lines) + "\n"
