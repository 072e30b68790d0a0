import io
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers import csv_index, csv_rows
from kfp_tabular.components.data_ingestion.readers.csv_index import FileLayout
from kfp_tabular.components.data_ingestion.readers.csv_rows import RowSyntax

SYNTAXES = [
    RowSyntax(),
    RowSyntax(escape=b"\\"),
    RowSyntax(skipped=b"#"),
    RowSyntax(quote=b""),
    RowSyntax(delimiter=b";", quote=b"'", escape=b"\\", skipped=b"#"),
]
CSV = st.text("ab,;\"'\n\r\\#", max_size=60).map(str.encode)
"""Dense in everything that matters."""

QUOTED = st.lists(
    st.lists(st.text('ab,"\n\r', max_size=8), min_size=1, max_size=3), max_size=12
).map(
    lambda rows: b"".join(
        ",".join('"' + field.replace('"', '""') + '"' for field in row).encode() + b"\r\n"
        for row in rows
    )
)
"""Well-formed, with line ends in values."""


def rows_of(pieces, syntax):
    """The rows (line and bytes) and the lines that are left out, as readers see them."""
    found = []
    for piece in pieces:
        if piece.unclosed:
            found.append((piece.line, piece.data, True))
            continue
        rows = csv_rows.find_rows(piece.data, syntax)
        for start, end, number in zip(rows.starts, rows.ends, rows.lines, strict=True):
            found.append((piece.line + int(number), piece.data[start:end], False))
    return found


def streamed(data, syntax, piece_bytes, longest):
    """The same from a stream."""
    pieces = []
    for piece in csv_rows.cut(io.BytesIO(data), syntax, 1, piece_bytes, longest):
        if piece.continues:
            last = pieces.pop()
            pieces.append(replace(last, data=last.data + piece.data))
        else:
            pieces.append(piece)
    return rows_of(pieces, syntax)


def indexed(folder: Path, data, syntax, block_bytes, longest, chunk_bytes=64 << 10):
    path = folder / "a.csv"
    path.write_bytes(data)
    file = LocalFile("a.csv", path)
    layout = FileLayout(file, syntax, 0, 1, len(data), block_bytes, longest)
    with mock.patch.object(csv_index, "_CHUNK_BYTES", chunk_bytes):
        (found,) = csv_index.index([layout], LocalEngine(2))
    blocks = list(csv_index.read_blocks(file, found, range(len(found)), most=1 << 20))
    assert b"".join(block.data for block in blocks) == data
    return rows_of(blocks, syntax)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=CSV | QUOTED,
    syntax=st.sampled_from(SYNTAXES),
    block=st.integers(1, 40),
    size=st.integers(1, 40),
    longest=st.integers(40, 50) | st.just(1000),
    chunk=st.sampled_from([1, 2, 7, 64 << 10]),
)
@example(b'\r"\n', RowSyntax(), 1, 1, 1000, 64 << 10)
@example(b'"a","aaa","aaaaa"\r\n"aa","aaa","aaa"""""\r\n""\r\n', RowSyntax(), 40, 1, 40, 64 << 10)
@example(b'a,"b\nc"\n"d', RowSyntax(), 3, 3, 1000, 64 << 10)
@example(b"aaaaaaaaaa\rb\r\nc\n\r\n", RowSyntax(), 2, 2, 40, 64 << 10)
def test_any_cut_finds_the_rows_and_lines_of_a_stream(
    folder, data, syntax, block, size, longest, chunk
):
    expected = streamed(data, syntax, 1 << 20 if longest > 100 else size, longest)
    assert indexed(folder, data, syntax, block, longest, chunk) == expected
    assert streamed(data, syntax, size, longest) == expected


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.text('ab"\n', max_size=30), max_size=12),
    block=st.integers(1, 16),
    longest=st.integers(16, 24),
)
def test_rows_that_are_too_long_are_the_same_for_any_cut(folder, rows, block, longest):
    data = "".join(f"{row}\n" for row in rows).encode()
    expected = streamed(data, RowSyntax(), 7, longest)
    assert streamed(data, RowSyntax(), 1, longest) == expected
    assert indexed(folder, data, RowSyntax(), block, longest) == expected
