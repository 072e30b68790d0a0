"""Alerts and dashboard: Prometheus accepts them, and alerts come when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import kustomize

ALERTS = "serving/monitoring/alerts.yaml"
DOCS = kustomize.ROOT.parent / "docs"
CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))

promtool_needed = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool, which comes with Prometheus, is not there"
)


def groups() -> dict[str, Any]:
    (rule,) = kustomize.read(ALERTS)
    spec: dict[str, Any] = rule["spec"]
    return spec


def alerts() -> list[dict[str, Any]]:
    return [rule for group in groups()["groups"] for rule in group["rules"] if "alert" in rule]


def dashboard() -> dict[str, Any]:
    path = kustomize.ROOT / "serving/monitoring/dashboard.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def queries() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def promtool(*arguments: str, folder: Path) -> None:
    ran = subprocess.run(
        ["promtool", *arguments],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with the rules as a Prometheus without the operator reads them."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups()), encoding="utf-8")
    return tmp_path


@promtool_needed
def test_prometheus_accepts_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", folder=rules)


@promtool_needed
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_alerts_come_when_they_should_and_only_then(rules: Path, cases: Path) -> None:
    shutil.copy(cases, rules)

    promtool("test", "rules", cases.name, folder=rules)


def test_every_alert_is_put_to_the_test() -> None:
    tested = {
        case["alertname"]
        for path in CASES
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }

    assert tested == {alert["alert"] for alert in alerts()}


def test_every_alert_has_an_entry_in_the_runbook() -> None:
    for alert in alerts():
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        text = (DOCS.parent / page).read_text(encoding="utf-8")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)

        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
        assert f"`{alert['alert']}`" in text


def test_alerts_say_how_bad_and_where() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook"}
        assert "$labels.service" in alert["annotations"]["summary"]


@promtool_needed
def test_prometheus_accepts_the_dashboards_queries(tmp_path: Path) -> None:
    shown = [
        {"record": f"panel:{position}", "expr": _filled(expression)}
        for position, (_, expression) in enumerate(queries())
    ]
    document = {"groups": [{"name": "dashboard", "rules": shown}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")

    promtool("check", "rules", "rules.yaml", folder=tmp_path)


def _filled(expression: str) -> str:
    """Put in what Grafana does."""
    values = {"$namespace": "n", "$service": "s", "$__rate_interval": "5m"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def test_panels_do_not_cover_each_other() -> None:
    panels = dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_dashboard_and_alerts_draw_the_same_line() -> None:
    """A panel's description gives the bound of its alert."""
    described = {panel["title"]: panel.get("description", "") for panel in dashboard()["panels"]}
    limits = {alert["alert"]: alert["expr"].rpartition("> ")[2] for alert in alerts()}

    assert (
        f"{float(limits['KfpTabularErrors']):.0%}".replace("%", " %")
        in described["Failed requests"]
    )
    assert f"{limits['KfpTabularLatency']} s" in described["Latency"]


@kustomize.needed
def test_grafana_finds_the_dashboard() -> None:
    objects = kustomize.build("serving/overlays/standard")
    found = kustomize.only(objects, "ConfigMap", "kfp-tabular-serving-dashboard")

    assert found["metadata"]["labels"] == {"grafana_dashboard": "1"}
    (text,) = found["data"].values()
    assert json.loads(text) == dashboard()
