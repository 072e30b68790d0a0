"""A block that is broken on purpose is found: each block of each page, in each of these ways."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from tests.docs import checks, commands, documents, outputs
from tests.docs.pages import Block, load, parse
from tests.docs.test_blocks import LOCAL, PAGES, python_blocks

CALLED = "ingest_data|train_model|deploy_model|IngestionRequest"


def broken(block: Block) -> Iterator[Block]:
    """Yield the block with one thing wrong in each."""
    if block.kind in ("output", "picture"):
        return
    if block.kind == "synopsis":
        known = "--" if "--" in block.code else "kfp-tabular "
        yield replace(block, code=block.code.replace(known, f"{known}x-", 1))
    elif block.language == "sh":
        yield from _broken_commands(block)
    elif block.language == "yaml":
        for key in yaml.safe_load(block.code) or {}:
            code = re.sub(rf"^{re.escape(key)}:", f"{key}x:", block.code, count=1, flags=re.M)
            yield replace(block, code=code)
    elif block.language == "json":
        yield replace(block, code=block.code.replace('"', "'", 1))
    elif block.language == "dockerfile":
        yield replace(block, code=block.code.replace("FROM", "FORM", 1))


def _broken_commands(block: Block) -> Iterator[Block]:
    for words in commands.split(block.code):
        if words[0] in ("for", "done", "export", "cd"):
            continue
        yield replace(block, code=block.code.replace(words[0], f"{words[0]}x", 1))
        for word in words:
            if re.match(r"--[a-z]", word) and word != "--help":
                option = word.partition("=")[0]
                code = re.sub(rf"(?<=\s){option}(?=[\s=])", f"{option}x", block.code, count=1)
                yield replace(block, code=code)
        for before, word in itertools.pairwise(words):
            if before == "--param" and "=" in word:
                key = word.partition("=")[0]
                yield replace(block, code=block.code.replace(f"{key}=", f"{key}x=", 1))


@pytest.mark.parametrize("name", PAGES)
def test_broken_blocks_are_found(name: str) -> None:
    for block in load(name).blocks:
        for changed in broken(block):
            assert changed.code != block.code, f"{block.name} was not changed"
            assert checks.problems(changed), f"{block.name}: not found:\n{changed.code}"


def test_broken_python_is_found() -> None:
    blocks = [
        replace(block, code=changed)
        for name in PAGES
        for block in python_blocks(name)
        for changed in _broken_python(block.code)
    ]
    assert blocks
    for block, problems in zip(blocks, checks.python_problems(blocks, LOCAL), strict=True):
        assert problems, f"{block.name}: not found:\n{block.code}"


def _broken_python(code: str) -> Iterator[str]:
    imported = re.search(r"^from (?!my_company|trips)\S+ import (\(\s*)?(\w+)", code, re.MULTILINE)
    if imported:
        yield code[: imported.start(2)] + "missing_" + code[imported.start(2) :]
    call = re.search(rf"\b({CALLED})\(\s*(\w+)=", code)
    if call:
        yield code[: call.start(2)] + "missing_" + code[call.start(2) :]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("    kfp-tabular run\n", "indented code"),
        ("```bash\nls\n```\n", "language 'bash'"),
        ("<!-- needs: luck -->\n```sh\nls\n```\n", "'luck'"),
        ("<!-- wants: cluster -->\n```sh\nls\n```\n", "wants"),
        ("<!-- in: pytorch -->\n```python\n```\n", "'pytorch'"),
    ],
)
def test_a_block_must_say_what_it_is(text: str, fault: str) -> None:
    assert any(fault in problem for problem in parse("page.md", text).faults)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("kfp-tabular compile --pipeline training", "output"),
        ("kfp-tabular compile --pipeline trainings --output x.yaml", "trainings"),
        ("kfp-tabular run --data x.csv --label y --param epochs=many", "epochs"),
        ("kfp-tabular run --data x.csv --label y --task ranking", "task"),
        ("kfp-tabular run --data x.csv --label y --param 'service={\"strategi\": 1}'", "strategi"),
        ("kubectl apply -k manifests/overlays/missing", "missing"),
        ("make dance", "dance"),
        ("make test-one T=tests/missing.py", "missing.py"),
        ("make test DANCE=1", "DANCE"),
        ("python tests/benchmarks/bench_missing.py", "bench_missing.py"),
        ("python -m kfp_tabular.serving --model m --max-row 3", "max-row"),
    ],
)
def test_a_wrong_command_is_found(code: str, fault: str) -> None:
    assert any(fault in problem for problem in checks.problems(Block("page.md", 1, "sh", code)))


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("tasks:\n  train-model: {cpus: 4}\n", "cpus"),
        ("parameters: {epoch: 3}\n", "epoch"),
        ("parameters: {split_method: sideways}\n", "split_method"),
        ("job: {memory: many}\n", "memory"),
        ("strategy: purple_green\n", "strategy"),
        ("thresholds: {auc: {least: 0.9}}\n", "least"),
        ("feature_config: {fare: {logarithm: true}}\n", "fare"),
        ("search_space: [{name: l2, parameterType: real}]\n", "real"),
        ("apiVersion: v1\nkind: Secret\ndatas: {}\n", "datas"),
        ("securityContext: {runAsRoot: false}\n", "runAsRoot"),
    ],
)
def test_a_wrong_document_is_found(code: str, fault: str) -> None:
    assert any(fault in p for p in documents.problems(Block("page.md", 1, "yaml", code)))


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ('{"a": 1.5, ...}', '{"a": 2, "b": 3}', True),
        ('{"a": 1}', '{"b": 1}', False),
        ('{"a": "x"}', '{"a": 1}', False),
        ('[{"a": 1}, ...]', '[{"a": 2}, {"a": 3}]', True),
        ("metrics: auc 0.9", "first\nmetrics:  auc 0.81\nlast", True),
        ("metrics: auc 0.9\nblessed: yes", "blessed: yes\nmetrics: auc 0.8", False),
        ("blessed: no", "blessed: yes", False),
        ("runs/churn-.../model", "runs/churn-2026-11-29-20-39/model", True),
        ("loss -0.5", "loss -0.7", True),
    ],
)
def test_output_is_compared_in_shape(shown: str, printed: str, same: bool) -> None:
    assert (not list(outputs.problems(shown, printed))) == same
