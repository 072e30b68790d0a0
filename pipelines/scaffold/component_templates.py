"""The files of a new component, as templates with placeholders such as `$name`."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

_INIT = '''"""$title: `component` is the KFP interface, `$logic` the logic."""
'''

_OPTIONS = '''"""The options of `$name`."""

from dataclasses import dataclass

from kfp_tabular.components.common.documents import at_least
from kfp_tabular.components.common.options import option


@dataclass(frozen=True)
class $options:
    """The arguments: name, type, default, meaning and check of each."""

    minimum_rows: int = option(
        1, "The fewest rows that a split may have.", check=at_least(0)
    )
'''

_COMPONENT = '''"""The KFP interface of `$name`."""

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.$image_constant)
def $name(
    examples: dsl.Input[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
    minimum_rows: int = 1,
) -> int:
    """$description

    Args:
        examples: What `ingest_data` writes: Parquet by split.
        summary: Output. The row count of each split, to read.
        minimum_rows: The fewest rows that a split may have.

    Returns:
        The number of rows in all splits.

    Raises:
        UserError: Exit code 2. A split has too few rows.

    Example:
        >>> @dsl.pipeline
        ... def pipeline(data_uri: str):
        ...     examples = dsl.importer(artifact_uri=data_uri, artifact_class=dsl.Dataset)
        ...     $name(examples=examples.output, minimum_rows=100)
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.$folder import $logic
    from kfp_tabular.components.$folder.options import $options

    with reported_to_user():
        result = $logic.run(
            $logic.$request(
                examples=Path(examples.path),
                summary=Path(summary.path),
                options=options.build($options, locals()),
            )
        )
    return result.rows
'''

_LOGIC = '''"""The logic of `$name`."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.$folder.options import $options


@dataclass(frozen=True)
class $request:
    """The input of the component.

    Attributes:
        examples: Directory of Parquet by split, `split=train/part-00000.parquet`.
        summary: The Markdown file to write.
        options: The component's options.
    """

    examples: Path
    summary: Path
    options: $options = field(default_factory=$options)


@dataclass(frozen=True)
class $result:
    """The outcome of the component.

    Attributes:
        rows: The number of rows in all splits.
    """

    rows: int


def run(request: $request) -> $result:
    """Count the rows of each split.

    Args:
        request: The input.

    Raises:
        UserError: For an option that does not fit, or a split with too few rows. No output is
            written then.
    """
    options.check(request.options)
    counts = {
        folder.name.removeprefix("split="): _rows(folder)
        for folder in sorted(request.examples.glob("split=*"))
    }
    for split, rows in counts.items():
        if rows < request.options.minimum_rows:
            raise UserError(
                f"split {split!r} has {rows} rows; minimum_rows is {request.options.minimum_rows}."
            )
    lines = ["| split | rows |", "| --- | ---: |", *(f"| {s} | {n} |" for s, n in counts.items())]
    files.write_text(request.summary, "\\n".join(lines) + "\\n")
    return $result(rows=sum(counts.values()))


def _rows(folder: Path) -> int:
    """Return the row count of a split, read from the Parquet footers."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))
'''

_METADATA = """name: $name
title: $title
description: $description
category: $category
image: $image
stability: alpha
tags:
  - $tag
"""

_DOCSTRINGS_TEST = '''"""The examples in the docstrings of `$name`."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example",
    $examples
    ids=lambda test: test.name,
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
'''

_TEST = '''"""The logic of `$name` on small files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.$folder import $logic
from kfp_tabular.components.$folder.options import $options
from kfp_tabular.components.common.errors import UserError


@pytest.fixture
def examples(tmp_path):
    for split, rows in (("train", 7), ("eval", 3)):
        folder = tmp_path / "examples" / f"split={split}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"a": list(range(rows))}), folder / "part-00000.parquet")
    return tmp_path / "examples"


def test_rows_are_counted(examples, tmp_path):
    summary = tmp_path / "summary"

    result = $logic.run($logic.$request(examples=examples, summary=summary))

    assert result.rows == 10
    assert "| train | 7 |" in summary.read_text()


def test_a_split_with_too_few_rows_is_refused(examples, tmp_path):
    summary = tmp_path / "summary"

    with pytest.raises(UserError, match="'eval' has 3 rows; minimum_rows is 5"):
        $logic.run($logic.$request(examples, summary, $options(minimum_rows=5)))
    assert not summary.exists()
'''


def fill(values: Mapping[str, str]) -> dict[Path, str]:
    """Return the text of each file of a new component by its path from the project's root.

    Args:
        values: The texts to fill in, by placeholder.
    """
    folder = Path("components") / values["folder"]
    templates = {
        folder / "__init__.py": _INIT,
        folder / "component.py": _COMPONENT,
        folder / "options.py": _OPTIONS,
        folder / f"{values['logic']}.py": _LOGIC,
        folder / "metadata.yaml": _METADATA,
        Path("tests") / folder / f"test_{values['logic']}.py": _TEST,
        Path("tests") / folder / "test_docstrings.py": _DOCSTRINGS_TEST,
    }
    return {path: Template(text).substitute(values) for path, text in templates.items()}
