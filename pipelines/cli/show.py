"""`kfp-tabular show`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

_MOST_COLUMNS = 60
_DIGEST_LENGTH = 19  # "sha256:" and twelve digits tell artifacts apart


@click.command("show")
@click.argument("artifact")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def show_command(artifact: str, as_json: bool) -> None:
    """Show what is in ARTIFACT: splits, rows, schema and lineage.

    ARTIFACT is the directory of an output of a task: a local path, or a URI such as s3://, gs://
    or minio://. Of examples in a store, only the manifest is read.
    """
    from kfp_tabular.pipelines.artifacts import artifact_facts

    found = artifact_facts.describe(artifact)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for line in _lines(found):
        click.echo(_printable(line))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['kind']}  {found['artifact']}"
    if found.get("digest"):
        yield f"digest  {found['digest']}"
    if found.get("shards_uri"):
        yield f"shards  {found['shards_uri']}"
    yield f"files   {found['files']}, {_size(found['bytes'])}"
    yield from _splits(found.get("splits", {}))
    yield from _model(found)
    if "task" in found and found["kind"] == "transform graph":
        yield ""
        yield from _table(
            ("task", ""), [(name, _text(value)) for name, value in found["task"].items()]
        )
    if "anomalies" in found:
        yield f"anomalies  {found['anomalies']}"
    for title, columns in (
        ("schema", found.get("schema", ())),
        ("inputs", found.get("inputs", ())),
    ):
        if columns:
            yield ""
            rows = [
                (column["name"], column.get("type") or column.get("dtype", ""))
                for column in columns
            ]
            yield from _table((f"{title} ({len(columns)})", "type"), rows[:_MOST_COLUMNS])
            if len(rows) > _MOST_COLUMNS:
                yield f"... {len(rows) - _MOST_COLUMNS} more; --json prints all"
    yield from _lineage(found.get("lineage"))
    for name in found.get("missing", ()):
        yield f"warning: {name} is missing or has another size; run the task that wrote it again"
    if found.get("abandoned"):
        yield (
            f"note: {len(found['abandoned'])} files of other attempts, which no reader takes; "
            "kfp-tabular prune removes them"
        )


def _splits(splits: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    if splits:
        names = ("rows", "bytes", "shards")
        has = [name for name in names if any(name in of for of in splits.values())]
        yield ""
        yield from _table(
            ("split", *has),
            [
                (
                    split,
                    *(_size(of[name]) if name == "bytes" else f"{of[name]:,}" for name in has),
                )
                for split, of in splits.items()
            ],
        )


def _model(found: Mapping[str, Any]) -> Iterator[str]:
    if found["kind"] != "model":
        return
    yield ""
    names = ("task", "label", "classes", "decision_threshold")
    facts = [(name, _text(found[name])) for name in names if found.get(name) not in (None, [], "")]
    yield from _table(("model", ""), facts)


def _lineage(recorded: Any) -> Iterator[str]:
    if not isinstance(recorded, dict):
        return
    yield ""
    yield "lineage"
    versions = recorded.get("versions")
    if isinstance(versions, dict):
        yield "  made with " + ", ".join(f"{name} {version}" for name, version in versions.items())
    yield from _parents(recorded, recorded.get("ancestors"), "  ", set())


def _parents(of: Mapping[str, Any], ancestors: Any, indent: str, shown: set[str]) -> Iterator[str]:
    """Yield what something was made from; each ancestor's own origin is shown once."""
    sources = of.get("sources")
    if isinstance(sources, list):
        for source in sources:
            if isinstance(source, dict):
                yield f"{indent}from {source.get('uri')}  {_short(source.get('digest'))}"
    inputs = of.get("inputs")
    if not isinstance(inputs, dict):
        return
    for name, given in inputs.items():
        digest = str(given)
        parent = ancestors.get(digest) if isinstance(ancestors, dict) else None
        rows = parent.get("rows") if isinstance(parent, dict) else None
        counts = []
        if isinstance(rows, dict):
            counts = [f"{split} {count}" for split, count in rows.items()]
        yield f"{indent}from {name}  {_short(digest)}  {', '.join(counts)}".rstrip()
        if isinstance(parent, dict) and digest not in shown:
            shown.add(digest)
            yield from _parents(parent, ancestors, f"{indent}  ", shown)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    cells = [head, *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _short(digest: object) -> str:
    return str(digest)[:_DIGEST_LENGTH]


def _text(value: object) -> str:
    if isinstance(value, list):
        shown = ", ".join(map(str, value[:20]))
        return shown + (f", ... ({len(value)})" if len(value) > 20 else "")
    return str(value)


def _size(count: int) -> str:
    for exponent, unit in enumerate(("B", "kB", "MB", "GB")):
        if count < 1000 ** (exponent + 1):
            return f"{count / 1000**exponent:.{min(exponent, 1)}f} {unit}"
    return f"{count / 1000**4:.1f} TB"


def _printable(line: str) -> str:
    """Show control characters, which could steer a terminal, as codes."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
