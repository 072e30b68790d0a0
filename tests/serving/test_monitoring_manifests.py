"""Alerts and dashboard use metrics that the server has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from kfp_tabular.serving.metrics.instruments import Metrics

MONITORING = Path(__file__).parents[2] / "manifests" / "serving" / "monitoring"
METRIC = re.compile(r"\bkfp_tabular_\w+")
SELECTOR = re.compile(r"\b(kfp_tabular_\w+)\{([^}]*)\}")
GROUPING = re.compile(r"by \(([^)]*)\)")
OF_THE_TARGET = {"namespace", "service", "pod"}
"""Labels that the PodMonitor adds to every metric."""


def expressions() -> Iterator[str]:
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    for group in rules["spec"]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    dashboard = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """Return the labels of each sample by name."""
    registry = CollectorRegistry()
    Metrics(registry)
    found: dict[str, set[str]] = {}
    for instrument in set(registry._names_to_collectors.values()):
        labels = set(instrument._labelnames)
        for metric in instrument.describe():
            endings = {
                "counter": ("_total",),
                "gauge": ("",),
                "histogram": ("_bucket", "_sum", "_count"),
            }[metric.type]
            for ending in endings:
                more = {"le"} if ending == "_bucket" else set()
                found[metric.name + ending] = labels | more
    # Counted by the supervisor.
    found["kfp_tabular_worker_restarts_total"] = {"reason"}
    return found


def test_every_named_metric_exists(exposed: dict[str, set[str]]) -> None:
    named = {name for expression in expressions() for name in METRIC.findall(expression)}

    assert named <= set(exposed)
    # A new metric belongs on the dashboard.
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in named}
    there = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in exposed}
    assert there == shown


def test_every_selected_label_exists(exposed: dict[str, set[str]]) -> None:
    for expression in expressions():
        for name, selection in SELECTOR.findall(expression):
            labels = set(re.findall(r"(\w+)\s*[=!]", selection))
            assert labels <= exposed[name] | OF_THE_TARGET, expression


def test_every_grouping_label_exists(exposed: dict[str, set[str]]) -> None:
    for expression in expressions():
        names = METRIC.findall(expression)
        labels = {
            part.strip() for found in GROUPING.findall(expression) for part in found.split(",")
        }
        known = set().union(*(exposed[name] for name in names)) | OF_THE_TARGET
        if names:
            assert labels <= known, expression
