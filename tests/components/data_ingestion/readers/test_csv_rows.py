import io

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.data_ingestion.readers import csv_rows
from kfp_tabular.components.data_ingestion.readers.csv_rows import RowSyntax

COMMA = RowSyntax()

CSV = st.text('ab,"\n\r', max_size=30).map(str.encode)
"""Dense in everything that matters."""

FEEDS = st.text('ab,"\n', max_size=30).map(lambda text: f"{text}\n".encode())


def by_hand(data: bytes) -> tuple[list[tuple[int, int, int]], bool]:
    """Find rows (start, end, line) byte by byte, and whether a quote stays open."""
    rows, start, line, row_line = [], 0, 0, 0
    quoted, field_start, i = False, True, 0
    while i < len(data):
        byte = data[i : i + 1]
        if quoted:
            if byte == b'"' and data[i + 1 : i + 2] == b'"':
                i += 1
            elif byte == b'"':
                quoted = False
            elif byte == b"\n" or (byte == b"\r" and data[i + 1 : i + 2] != b"\n"):
                line += 1
            field_start = False
        elif byte == b'"' and field_start:
            quoted, field_start = True, False
        elif byte in (b"\n", b"\r"):
            if i > start:
                rows.append((start, i, row_line))
            i += byte == b"\r" and data[i + 1 : i + 2] == b"\n"
            line += 1
            start, row_line, field_start = i + 1, line, True
        else:
            field_start = byte == b","
        i += 1
    if len(data) > start:
        rows.append((start, len(data), row_line))
    return rows, quoted


@given(CSV | FEEDS)
def test_rows_are_where_a_byte_wise_reading_finds_them(data):
    rows = csv_rows.find_rows(data, COMMA)
    found = list(zip(rows.starts.tolist(), rows.ends.tolist(), rows.lines.tolist(), strict=True))
    assert found == by_hand(data)[0]


@given(CSV)
def test_rows_are_those_of_arrows_parser(data):
    assume(data.strip(b"\r\n"))
    ragged = []
    table = pacsv.read_csv(
        pa.BufferReader(data),
        pacsv.ReadOptions(column_names=["x", "y"], use_threads=False),
        pacsv.ParseOptions(
            newlines_in_values=True,
            invalid_row_handler=lambda row: [ragged.append(row), "skip"][1],
        ),
        pacsv.ConvertOptions(column_types={"x": pa.string(), "y": pa.string()}),
    )
    rows = csv_rows.find_rows(data, COMMA)
    assert table.num_rows + len(ragged) == len(rows.starts)
    assume(not by_hand(data)[1])
    for row in ragged:
        span = slice(rows.starts[row.number - 1], rows.ends[row.number - 1])
        assert row.text.encode() == data[span]


@given(CSV, st.integers(1, 12))
def test_pieces_are_the_whole_and_end_with_rows(data, size):
    pieces = list(csv_rows.cut(io.BytesIO(data), COMMA, 1, size, longest_row=1000))
    assert b"".join(piece.data for piece in pieces) == data
    if by_hand(data)[1]:
        return
    assert not any(piece.unclosed for piece in pieces)
    found = []
    position = 0
    for piece in pieces:
        rows = csv_rows.find_rows(piece.data, COMMA)
        starts, ends = rows.starts + position, rows.ends + position
        found += zip(starts.tolist(), ends.tolist(), strict=True)
        position += len(piece.data)
    assert found == [(start, end) for start, end, _ in by_hand(data)[0]]


@given(FEEDS, st.integers(1, 12))
@example(b"aaaaaaaaaaaaaaaaaaaa\n", 1)
@example(b"aaaaaaaaaaaaaaaaaaaaaaaaaa\na,b\n", 3)
def test_pieces_know_their_line(data, size):
    before = b""
    for piece in csv_rows.cut(io.BytesIO(data), COMMA, 1, size, longest_row=20):
        assert piece.line == 1 + before.count(b"\n")
        before += piece.data


def test_no_part_of_a_line_that_is_too_long_becomes_a_row():
    data = b"a,b\n" + b"x" * 50 + b",1\nc,d\n"
    pieces = list(csv_rows.cut(io.BytesIO(data), COMMA, 1, 8, longest_row=20))
    assert b"".join(piece.data for piece in pieces if piece.unclosed) == b"x" * 50 + b",1\n"
    assert {piece.line for piece in pieces if piece.unclosed} == {2}
    assert [(piece.data, piece.line) for piece in pieces if not piece.unclosed] == [
        (b"a,b\n", 1),
        (b"c,d\n", 3),
    ]


@given(FEEDS)
def test_the_fast_way_to_the_last_row_end_is_the_sure_one(data):
    ends = [m.end() for m in csv_rows._lexer(COMMA).finditer(data) if data[m.start()] != ord('"')]
    assert csv_rows.last_row_end(data, COMMA) == (ends[-1] if ends else 0)


def test_a_quote_that_stays_open_costs_its_line_only():
    data = b'a,b\n"c,d\ne,f\ng,"h\ni"\n'
    pieces = list(csv_rows.cut(io.BytesIO(data), COMMA, 1, 1 << 20, 1 << 20))
    # The open quote pairs with the next one, as in any reader of CSV: that is ragged, not open.
    assert [piece.unclosed for piece in pieces].count(True) <= 1
    data = b'a,b\n"c,d\ne,f\n'
    pieces = list(csv_rows.cut(io.BytesIO(data), COMMA, 1, 1 << 20, 1 << 20))
    assert [(piece.data, piece.line, piece.unclosed) for piece in pieces] == [
        (b"a,b\n", 1, False),
        (b'"c,d\n', 2, True),
        (b"e,f\n", 3, False),
    ]


def test_a_runaway_quote_is_cut_off_at_the_longest_row():
    data = b'"x,1\n' + b"y,2\n" * 100
    pieces = list(csv_rows.cut(io.BytesIO(data), COMMA, 1, 16, longest_row=64))
    assert [piece.line for piece in pieces if piece.unclosed] == [1]
    assert (
        sum(len(csv_rows.find_rows(p.data, COMMA).starts) for p in pieces if not p.unclosed) == 100
    )


@settings(max_examples=20)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_line_ends_of_all_kinds_count(feeds, pairs, returns):
    data = b"a\n" * feeds + b"b\r\n" * pairs + b"c\r" * returns
    assert csv_rows.count_line_ends(data) == feeds + pairs + returns


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_numbers_are_the_same_however_a_file_is_cut(size):
    data = b"".join(b'%d,"line\n%d"\r\n' % (i, i) for i in range(200))
    lines = []
    for piece in csv_rows.cut(io.BytesIO(data), COMMA, 1, size, 1 << 20):
        lines += (csv_rows.find_rows(piece.data, COMMA).lines + piece.line).tolist()
    assert np.array_equal(lines, np.arange(200) * 2 + 1)
