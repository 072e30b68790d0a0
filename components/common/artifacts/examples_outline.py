"""An outline of examples: their columns, splits and classes in a few rows.

Tasks that only ask what there is read it instead of the examples, which a pod would have to
download. It is an examples artifact itself: each split has one row for each distinct label, up to
`MOST_LABELS`, and no other values.
"""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter, record

MOST_LABELS = 2_000


def write(examples: Examples, label: str, path: str | os.PathLike[str]) -> None:
    """Write the outline of examples.

    Args:
        examples: The examples.
        label: The label's column; empty for none, which leaves one row in each split.
        path: The directory to write.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5, 3.5], "tip": [0, 1, 0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "examples").mkdir()
        ...     with ExamplesWriter(f"{folder}/examples", table.schema, ["train"]) as writer:
        ...         writer.write("train", table)
        ...     write(Examples(Path(folder, "examples")), "tip", f"{folder}/outline")
        ...     (batch,) = Examples(Path(folder, "outline")).batches("train")
        >>> batch.to_pydict()
        {'fare': [None, None], 'tip': [0, 1]}
    """
    schema = examples.schema
    with files.atomic_directory(Path(path)) as directory:
        with ExamplesWriter(directory, schema, examples.splits) as writer:
            for split, rows in examples.rows().items():
                labels = _labels(examples, split, label) if label else pa.nulls(min(rows, 1))
                columns = [
                    labels if field.name == label else pa.nulls(len(labels), field.type)
                    for field in schema
                ]
                writer.write(split, pa.Table.from_arrays(columns, schema=schema))
        record(directory, writer.schema, writer.shards, inputs={"examples": examples.path})


def _labels(examples: Examples, split: str, label: str) -> pa.Array:
    found = pa.nulls(0, examples.schema.field(label).type)
    for batch in examples.batches(split, [label]):
        found = pc.unique(pa.concat_arrays([found, pc.unique(batch.column(0))]))
        if len(found) > MOST_LABELS:
            break
    return found[:MOST_LABELS].take(pc.array_sort_indices(found[:MOST_LABELS]))
