"""How Katib and the kubelet change a trial's command, and how Katib reads what the trial writes.

Katib's webhook (0.19, `pkg/webhook/v1beta1/pod/utils.go`), the kubelet's expansion of variables
(`third_party/forked/golang/expansion`), and Katib's collector of metrics in text
(`pkg/metricscollector/v1beta1/file-metricscollector`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from kfp_tabular.components.tuning.katib.experiment import METRICS_FILE


def assigned(experiment: Mapping[str, Any], values: Mapping[str, str]) -> Any:
    """Return a trial's job: Katib replaces placeholders in its JSON text."""
    template = experiment["spec"]["trialTemplate"]
    text = json.dumps(template["trialSpec"])
    for entry in template["trialParameters"]:
        placeholder = f"${{trialParameters.{entry['name']}}}"
        assert placeholder in text
        text = text.replace(placeholder, values[entry["reference"]])
    assert "${trial" not in text
    return json.loads(text)


def container(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object with the command of a trial's first pod."""
    spec = job["spec"]
    if job["kind"] == "TrainJob":
        return dict(spec["trainer"])
    template = spec["tfReplicaSpecs"]["Chief"] if job["kind"] == "TFJob" else spec
    return dict(template["template"]["spec"]["containers"][0])


def wrapped(command: Sequence[str], early_stopping: bool, directory: str = "") -> list[str]:
    """Return the command of the pod that reports, as the webhook changes it.

    Args:
        command: The container's command and arguments.
        early_stopping: Whether the trial has rules for early stopping.
        directory: The metrics file's directory; Katib's where empty.
    """
    directory = directory or str(PurePosixPath(METRICS_FILE).parent)
    shell, words = ["sh", "-c"], list(command)
    if words[0] in ("sh", "bash") and words[1] == "-c":
        shell, words = words[:2], words[2:]
    process = f"{directory}/$$$$.pid"
    if early_stopping:
        marker = f"$(head -n 1 {directory}/$$.pid)"
        words += [
            "||",
            f"if test -f {process} && [ {marker} = early-stopped ]; "
            "then echo Training Container was Early Stopped; "
            "else echo Training Container was Failed; exit 1; fi",
        ]
    words += ["&&", f"echo completed > {process}"]
    return [*shell, " ".join(words)]


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return a word of a command as the kubelet passes it on."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replacement, text)


def started(command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Return a command as the kubelet runs it."""
    return [expanded(word, variables) for word in command]


def collected(experiment: Mapping[str, Any], text: str) -> dict[str, list[str]]:
    """Return what the collector reports from a metrics file, by metric."""
    objective = experiment["spec"]["objective"]
    names = [objective["objectiveMetricName"], *objective.get("additionalMetricNames", ())]
    source = experiment["spec"]["metricsCollectorSpec"]["source"]
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        for pattern in source["filter"]["metricsFormat"]:
            for match in re.finditer(pattern, line, re.ASCII):
                if match[1].strip() in names:
                    found.setdefault(match[1].strip(), []).append(match[2].strip())
    return found
