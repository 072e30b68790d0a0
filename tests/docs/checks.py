"""Checks of blocks that need no run, a function per language."""

import json
import subprocess
from collections.abc import Iterator, Sequence

from tests.docs import commands, documents, outputs
from tests.docs.pages import ROOT, Block

_CONTEXT = """
from kfp import compiler, dsl, kubernetes

from kfp_tabular.components import (
    deploy_model, evaluate_model, ingest_data, train_model, transform_features,
    tune_hyperparameters, validate_data,
)


@dsl.pipeline(name="shown")
def shown(data_uri: str, label: str = "churned"):
    ingestion = ingest_data(data_uri=data_uri, label=label)
    examples = ingestion.outputs["examples"]
    validation = validate_data(examples=examples, label=label)
    features = transform_features(
        examples=examples, schema=validation.outputs["schema"], label=label
    )
    training = train_model(
        transformed_examples=features.outputs["transformed_examples"],
        transform_graph=features.outputs["transform_graph"],
    )
    evaluation = evaluate_model(examples=examples, model=training.outputs["model"])
{body}

compiler.Compiler().compile(shown, "shown.yaml")
"""
"""What surrounds a block that shows a part of a pipeline's function."""


_INSTRUCTIONS = {"FROM", "USER", "COPY", "RUN", "ENV", "WORKDIR", "ENTRYPOINT", "CMD"}


def source(block: Block) -> str:
    """Return a Python block as a whole module."""
    if block.kind != "inside pipeline":
        return block.code
    body = "".join(f"    {line}\n" for line in block.code.splitlines())
    return _CONTEXT.replace("{body}", body)


def problems(block: Block) -> list[str]:
    """Return what is wrong with a block that is not Python."""
    return list(_problems(block))


def _problems(block: Block) -> Iterator[str]:
    if block.kind == "synopsis":
        yield from commands.synopsis_problems(block.code)
    elif block.language == "sh":
        yield from commands.problems(block)
    elif block.language == "yaml":
        yield from documents.problems(block)
    elif block.language == "json" and outputs.parse(block.code) is None:
        yield "not JSON"
    elif block.language == "dockerfile":
        words = [line.split()[0] for line in block.code.splitlines() if line.strip()]
        yield from (f"{word} is not an instruction" for word in set(words) - _INSTRUCTIONS)
    elif block.language == "text" and block.kind not in ("output", "picture"):
        yield "text that is neither output nor a picture: say which, or name its language"


def python_problems(blocks: Sequence[Block], local: frozenset[str]) -> list[list[str]]:
    """Return what is wrong with Python blocks, which are checked where they belong.

    Args:
        blocks: Blocks of any environments.
        local: Modules that the pages define, by their first part.
    """
    found: dict[int, list[str]] = {}
    for environment in {block.environment for block in blocks}:
        chosen = [n for n, block in enumerate(blocks) if block.environment == environment]
        asked = [{"code": source(blocks[n]), "local": sorted(local)} for n in chosen]
        done = subprocess.run(
            [ROOT / ".venvs" / environment / "bin/python", ROOT / "tests/docs/python_names.py"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found |= dict(zip(chosen, json.loads(done.stdout), strict=True))
    return [found[n] for n in range(len(blocks))]
