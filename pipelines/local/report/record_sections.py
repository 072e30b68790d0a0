"""The last sections of a run's report, folded: artifacts, all metrics, parameters, versions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.pipelines.local.report.artifact_links import ArtifactLink, target
from kfp_tabular.pipelines.local.report.run_summary import RunSummary

_DIGEST_LENGTH = 19  # "sha256:" and twelve digits tell artifacts apart


def sections(
    summary: RunSummary,
    spec: Mapping[str, Any],
    artifacts: Mapping[str, Sequence[ArtifactLink]],
    home: Path,
) -> Iterator[Section]:
    """Yield the sections."""
    yield Section("Parameters", tuple(_parameters(summary, spec)))
    if summary.metrics:
        rows = sorted(summary.metrics.items())
        yield Section("All metrics", (html.table(("metric", "value"), rows),), collapsed=True)
    if artifacts:
        yield Section("Artifacts", (_artifact_table(artifacts, home),), collapsed=True)
    yield Section("Versions", (html.facts(summary.versions),), collapsed=True)


def _artifact_table(artifacts: Mapping[str, Sequence[ArtifactLink]], home: Path) -> Markup:
    rows = []
    for task, links in artifacts.items():
        for artifact in links:
            exists = artifact.path.exists()
            place = target(artifact.path, home)
            recorded = lineage.file_of(artifact.path)
            rows.append(
                (
                    task,
                    html.link(artifact.name, place) if exists else artifact.name,
                    artifact.type,
                    _row_counts(artifact.metadata.get("rows")),
                    str(artifact.metadata.get("digest", ""))[:_DIGEST_LENGTH] or None,
                    html.link("lineage", target(recorded, home)) if recorded else None,
                )
            )
    return html.table(("task", "artifact", "type", "rows", "digest", "made from"), rows)


def _row_counts(rows: object) -> str | None:
    if not isinstance(rows, Mapping):
        return None
    return ", ".join(f"{split} {html.format_number(count)}" for split, count in rows.items())


def _parameters(summary: RunSummary, spec: Mapping[str, Any]) -> Iterator[Markup]:
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    given = [(name, _shown(value)) for name, value in summary.parameters.items()]
    yield html.table(("given", "value"), given)
    defaults = [
        (name, _shown(entry.get("defaultValue")))
        for name, entry in declared.items()
        if name not in summary.parameters
    ]
    if defaults:
        yield html.details("left at their defaults", html.table(("parameter", "value"), defaults))


def _shown(value: Any) -> object:
    """Return a value as it would be written on the command line."""
    if value is None or value == "":
        return Markup("<span class='subtitle'>empty</span>")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Markup(f"<code>{html.escape(text)}</code>")
