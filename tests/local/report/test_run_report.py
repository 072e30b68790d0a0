import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from kfp import compiler, dsl

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html.style import STYLE
from kfp_tabular.pipelines.local.report.run_report import ArtifactLink, write_report
from kfp_tabular.pipelines.local.report.run_summary import RunSummary, TaskRecord
from kfp_tabular.pipelines.local.report.timing_bars import duration
from kfp_tabular.pipelines.task_findings import TaskFinding

STARTED = 1_763_865_000.0


@dsl.component(base_image="example.com/tensorflow:1")
def ingest_data(data_uri: str, examples: dsl.Output[dsl.Dataset]):
    pass


@dsl.component(base_image="example.com/tensorflow:1")
def train_model(examples: dsl.Input[dsl.Dataset], epochs: int, model: dsl.Output[dsl.Model]):
    pass


@dsl.component(base_image="example.com/tensorflow:1")
def evaluate_model(model: dsl.Input[dsl.Model], examples: dsl.Input[dsl.Dataset]) -> bool:
    return True


@dsl.component(base_image="example.com/serving:1")
def deploy_model(model: dsl.Input[dsl.Model]):
    pass


@dsl.pipeline(name="training")
def pipeline(data_uri: str, epochs: int = 10, task: str = ""):
    examples = ingest_data(data_uri=data_uri).output
    model = train_model(examples=examples, epochs=epochs).output
    blessed = evaluate_model(model=model, examples=examples)
    with dsl.If(blessed.output == True, name="blessed"):  # noqa: E712
        deploy_model(model=model)


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what tests look at."""

    VOID = ("meta", "br", "path", "rect")

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.source = file.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(self.source)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if "href" in named:
            self.links.append(named["href"])
        if "id" in named:
            self.ids.append(named["id"])
        assert not any(name in ("src", "onclick", "onload") for name in named)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += f"{data} "

    def target(self, link: str) -> Path:
        return self.file.parent / unquote(link)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    file = tmp_path_factory.mktemp("spec") / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(file))
    return yaml.safe_load(file.read_text())


@pytest.fixture
def folder(tmp_path):
    """A run's folder, with a name that links must quote."""
    run = tmp_path / "run #1 50%"
    (run / "logs").mkdir(parents=True)
    return run


def record(folder, name, status="succeeded", **changes):
    log = folder / "logs" / f"{name}.log"
    if status != "skipped":
        log.write_text("".join(f"line {number} <of> {name}\n" for number in range(100)))
    started = None if status == "skipped" else STARTED + 1
    facts = {"seconds": 2.5, "started": started, "image": "example.com/tensorflow:1", "log": log}
    return TaskRecord(name=name, status=status, **{**facts, "log": str(log), **changes})


def summary(folder, **changes):
    names = ("ingest-data", "train-model", "evaluate-model", "deploy-model")
    facts = {
        "pipeline": "training",
        "status": "succeeded",
        "started": STARTED,
        "seconds": 12.0,
        "tasks": tuple(record(folder, name) for name in names),
        "metrics": {"auc": 0.93125, "log_loss": 0.061, "f1": 0.5, "rmse": float("nan")},
        "blessed": True,
        "model": str(folder / "models" / "model" / "1"),
        "report": str(folder / "report.html"),
        "parameters": {"data_uri": "/data/a <b>.csv", "label": "big_tipper", "task": ""},
        "versions": {"kfp": "2.17.0"},
    }
    return RunSummary(**{**facts, **changes})


def artifact(folder, task, name, kind, text=None, **metadata):
    path = folder / "artifacts" / task / name
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return ArtifactLink(name, kind, path, metadata)


def write(folder, spec, run, artifacts=None):
    write_report(run, spec, artifacts or {}, folder / "report.html")
    return Page(folder / "report.html")


def test_one_page_shows_the_run(folder, spec):
    (folder / "models" / "model" / "1").mkdir(parents=True)
    page = write(folder, spec, summary(folder))
    title = "Run succeeded: big_tipper, a &lt;b&gt;.csv, 2025-11-23 02:30 UTC"
    assert f"<h1>{title}</h1>" in page.source
    assert f"<title>{title}</title>" in page.source
    assert "training pipeline" in page.text
    assert "0.9313" in page.text
    assert "NaN" in page.text
    assert "What went wrong" not in page.text
    assert "if blessed" in page.text
    assert page.source.count("succeeded · 2.5 s") == 2 * 4  # in each box and in its tooltip
    assert {"svg", "table"} <= page.tags
    assert "script" not in page.tags


def test_links_lead_somewhere(folder, spec):
    (folder / "models" / "model" / "1").mkdir(parents=True)
    examples = folder / "artifacts" / "ingest-data" / "examples"
    examples.mkdir(parents=True)
    (examples / "_manifest.json").write_text("{}")
    rejected = examples.with_name("rejected_rows")
    rejected.mkdir()
    (rejected / "_lineage.json").write_text("{}")
    artifacts = {
        "ingest-data": [
            ArtifactLink("examples", "Dataset", examples, {"rows": {"train": 14_000, "eval": 3}}),
            ArtifactLink("rejected_rows", "Dataset", rejected, {}),
            artifact(folder, "ingest-data", "summary", "Markdown", "# Über | all\n\n`x`"),
        ],
        "evaluate-model": [
            artifact(folder, "evaluate-model", "report", "HTML", "<!doctype html><p>curves</p>"),
            artifact(folder, "evaluate-model", "metrics", "Metrics", auc=0.9),
            artifact(folder, "evaluate-model", "never-written", "HTML"),
        ],
    }
    page = write(folder, spec, summary(folder), artifacts)
    outside = [link for link in page.links if not link.startswith("#")]
    for link in outside:
        assert "://" not in link
        assert page.target(link).exists(), link
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "train 14,000, eval 3" in page.text
    targets = [page.target(link).relative_to(folder).as_posix() for link in outside]
    assert "artifacts/ingest-data/examples/_manifest.json" in targets
    assert "artifacts/ingest-data/rejected_rows/_lineage.json" in targets
    assert "pages/ingest-data.summary.html" in targets
    copied = folder / "pages" / "evaluate-model.report.html"
    assert copied.read_text() == "<!doctype html><p>curves</p>"
    assert "<h1>Über | all<span" in (folder / "pages" / "ingest-data.summary.html").read_text()
    assert len(list((folder / "pages").iterdir())) == 2


def test_the_pages_of_a_run_link_to_one_another_and_name_the_run(folder, spec):
    artifacts = {
        "ingest-data": [artifact(folder, "ingest-data", "summary", "Markdown", "# Data\n\n`x`")],
        "evaluate-model": [
            artifact(
                folder, "evaluate-model", "report", "HTML", html.page("Evaluation: big_tipper", [])
            ),
            artifact(folder, "evaluate-model", "more", "Markdown", "text"),
            artifact(folder, "evaluate-model", "own", "HTML", "<p>drawn elsewhere</p>"),
        ],
    }
    report = write(folder, spec, summary(folder), artifacts)
    files = sorted((folder / "pages").iterdir())
    assert len(files) == 4
    for file in (folder / "report.html", *files):
        page = Page(file)
        if "own" in file.name:
            assert page.links == []
            continue
        assert page.source.count("aria-current=page") == 1
        for link in page.links:
            assert link.startswith("#") or page.target(link).exists(), (file, link)
        if file.parent.name == "pages":
            assert "../report.html" in page.links
            title = page.source.partition("</title>")[0].rpartition("<title>")[2]
            assert title.endswith(", a &lt;b&gt;.csv, run 2025-11-23 02:30 UTC")
            assert title.count("big_tipper") == 1
    assert "Evaluate model: more" in report.text
    # An artifact alone has no links.
    source = artifacts["evaluate-model"][0].path.read_text()
    assert "href" not in source


def test_the_card_of_the_model_is_linked_from_the_result_and_beside_the_evaluation(folder, spec):
    shown = [
        artifact(folder, "evaluate-model", "report", "HTML", html.page("Evaluation: y", [])),
        artifact(folder, "evaluate-model", "model_card", "HTML", html.page("Model card: tx", [])),
    ]
    report = write(folder, spec, summary(folder), {"evaluate-model": shown})
    card = "pages/evaluate-model.model_card.html"
    assert f"<a href='{card}'>model card</a>" in report.source
    assert "Evaluate model: model card" in report.text
    evaluation = Page(folder / "pages" / "evaluate-model.report.html")
    assert card.removeprefix("pages/") in evaluation.links


def test_a_run_without_pages_has_no_navigation(folder, spec):
    assert "nav" not in write(folder, spec, summary(folder)).tags


def test_metrics_are_beside_those_of_the_constant_answer(folder, spec):
    constant = artifact(folder, "evaluate-model", "evaluation", "Artifact")
    constant = replace(constant, metadata={"constant_answer": {"auc": 0.5}})
    page = write(folder, spec, summary(folder), {"evaluate-model": [constant]})
    assert "0.9313<small>constant answer: 0.5</small>" in page.source
    assert page.source.count("constant answer:") == 1


def test_a_moved_folder_keeps_its_links(folder, spec):
    links = {"ingest-data": [artifact(folder, "ingest-data", "summary", "Markdown", "text")]}
    write(folder, spec, summary(folder, model=None), links)
    moved = folder.rename(folder.with_name("moved"))
    page = Page(moved / "report.html")
    for link in page.links:
        assert link.startswith("#") or page.target(link).exists()


def test_errors_come_first(folder, spec):
    tasks = (
        record(folder, "ingest-data"),
        record(folder, "train-model", "failed", error="label 'x' & <y>: not a column"),
        record(folder, "evaluate-model", "skipped"),
        record(folder, "deploy-model", "skipped"),
    )
    run = summary(folder, status="failed", tasks=tasks, metrics={}, blessed=None, model=None)
    page = write(folder, spec, run)
    headings = re.findall(r"<h2>(.*?)</h2>", page.source)
    assert headings[0] == "What went wrong"
    assert "All metrics" not in headings
    assert "label 'x' & <y>: not a column" in page.text
    assert "line 99 <of> train-model" in page.text
    assert "line 69 <of> train-model" not in page.text  # only the last thirty
    assert page.source.count("class='task skipped") == 2
    assert page.source.count("class='task failed'") == 1
    # Bars for those that ran.
    assert len(re.findall(r"class='time (succeeded|failed)'", page.source)) == 2


def test_a_failure_without_a_log(folder, spec):
    failed = replace(record(folder, "ingest-data", "failed"), log="", error="")
    page = write(folder, spec, summary(folder, status="failed", tasks=(failed,)))
    assert "lines of its log" not in page.text
    # Tasks of the spec without a record never ran.
    assert page.source.count("class='task skipped") == 3


def test_findings_are_between_results_and_times_with_errors_shown_and_notes_folded(folder, spec):
    found = (
        TaskFinding(
            "error", "leak", "'<x>' alone predicts the label.", "<x>", "exclude", "ingest-data"
        ),
        TaskFinding("note", "day-first", "'when' is read day first.", "when", "", "ingest-data"),
    )
    page = write(folder, spec, summary(folder, findings=found, why="auc is 0.93."))
    parts = ("auc is 0.93.", "log loss", "Findings", "'<x>' alone", "day first", "Tasks")
    order = [page.text.index(part) for part in parts]
    assert order == sorted(order)
    assert "<span class='badge error'>error</span>" in page.source
    assert "#task-ingest-data" in page.links or "#ingest-data" in page.links
    assert "auc is 0.93." in page.text


def test_an_unblessed_model_is_said_not_to_be_deployed(folder, spec):
    tasks = (*summary(folder).tasks[:3], record(folder, "deploy-model", "skipped"))
    page = write(folder, spec, summary(folder, blessed=False, tasks=tasks))
    assert "not blessed" in page.text
    assert "was not deployed" in page.text


def test_parameters_are_told_from_defaults(folder, spec):
    page = write(folder, spec, summary(folder))
    assert "/data/a <b>.csv" in page.text
    given, defaults = page.source.split("left at their defaults")
    assert "<td>data_uri</td>" in given
    assert "<td>epochs</td>" in defaults
    assert "<td>task</td>" in given


def test_writing_again_replaces_everything(folder, spec):
    first = {"ingest-data": [artifact(folder, "ingest-data", "old", "Markdown", "text")]}
    write(folder, spec, summary(folder), first)
    write(folder, spec, summary(folder), {})
    assert list((folder / "pages").iterdir()) == []
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_colors_are_those_of_the_pages(folder, spec):
    page = write(folder, spec, summary(folder))
    used = set(re.findall(r"var\((--[\w-]+)\)", page.source))
    assert used <= set(re.findall(r"(--[\w-]+):", STYLE)) | {"--c"}


def test_the_page_is_small(folder, spec):
    write(folder, spec, summary(folder))
    assert (folder / "report.html").stat().st_size < 40_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (2.55, "2.5 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (7620.0, "2 h 07 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_cached_and_stopped_tasks_are_shown(folder, spec):
    stopped = summary(
        folder,
        status="stopped",
        tasks=(
            record(folder, "ingest-data", "cached"),
            record(folder, "train-model", "stopped"),
            record(folder, "evaluate-model", "skipped"),
            record(folder, "deploy-model", "skipped"),
        ),
        metrics={},
        blessed=None,
        model=None,
    )
    page = write(folder, spec, stopped)
    for status in ("cached", "stopped"):
        assert f"task {status}" in page.source  # the graph
        assert f"time {status}" in page.source  # the times
        assert f">{status}</span>" in page.source  # the table
    assert "The run was stopped during train-model; 1 of 4 tasks finished." in page.text
    assert f"kfp-tabular run --resume '{folder}'" in page.text
    assert "What went wrong" not in page.text


def test_pages_of_others_stay(folder, spec):
    (folder / "pages").mkdir()
    (folder / "pages" / "mine.html").write_text("mine")
    write(folder, spec, summary(folder))
    assert (folder / "pages" / "mine.html").read_text() == "mine"
