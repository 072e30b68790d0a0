"""The Markdown page of a deployment to a model repository."""

import json
import shlex

from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.deployment.local.model_repository import PublishedVersion


def markdown(
    name: str, published: PublishedVersion, golden: GoldenExamples, difference: float
) -> str:
    """Return the page, with commands that serve the model and query it.

    Args:
        name: The model's name.
        published: The version in the repository.
        golden: The golden examples that were compared; the first one is the sample request.
        difference: The largest difference that was found.

    Example:
        >>> from pathlib import Path
        >>> published = PublishedVersion(Path("/srv/models/taxi/3"), 3, is_new=True)
        >>> golden = GoldenExamples([{"hour": 7}], [{"prediction": 12.5}])
        >>> print(markdown("taxi", published, golden, 1e-7))
        # taxi, version 3
        <BLANKLINE>
        Published now. The answers for 1 golden examples differ from the evaluation's by at most
        1e-07.
        ...
    """
    state = "Published now." if published.is_new else "Already published; nothing was changed."
    checked = (
        f"The answers for {len(golden.instances)} golden examples differ from the evaluation's by "
        f"at most {difference:.2g}."
        if golden.instances
        else "There were no golden examples to compare."
    )
    instance = golden.instances[0] if golden.instances else {}
    body = json.dumps({"instances": [instance]}, ensure_ascii=False)
    serve = f"kfp-tabular serve --model {shlex.quote(str(published.path))} --name {name}"
    query = (
        "curl -H 'Content-Type: application/json' "
        f"http://localhost:8080/v1/models/{name}:predict -d {shlex.quote(body)}"
    )
    lines = [
        f"# {name}, version {published.version}",
        "",
        f"{state} {checked}",
        "",
        f"    {published.path}",
        "",
        "Serve it:",
        "",
        f"    {serve}",
        "",
        "Query it:",
        "",
        f"    {query}",
    ]
    return "\n".join(lines) + "\n"
