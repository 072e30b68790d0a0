"""The folds and the map of ingestion: any cut, any order, any process, the same examples."""

import dataclasses
import gzip
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.plain_values import from_plain, to_plain
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence, observe
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.evidence_fold import EvidenceFold
from kfp_tabular.components.data_ingestion.ingest import IngestionRequest
from kfp_tabular.components.data_ingestion.options import (
    CsvOptions,
    IngestionOptions,
    SplitOptions,
)
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from kfp_tabular.components.data_ingestion.readers.source import RejectedRow
from kfp_tabular.components.data_ingestion.splits.chosen_split import ChosenSplit
from kfp_tabular.components.data_ingestion.splits.named_splits import ColumnNames
from kfp_tabular.components.data_ingestion.splits.split_fold import SplitFold
from kfp_tabular.components.data_ingestion.writing import passes
from kfp_tabular.components.data_ingestion.writing.piece_fold import (
    Assumptions,
    PieceFold,
    PieceResult,
)
from kfp_tabular.components.data_ingestion.writing.row_facts import (
    BlockFacts,
    LabelFacts,
    RowFacts,
)
from kfp_tabular.components.data_ingestion.writing.rows_before import RowsBefore
from tests import accumulator_laws, cases
from tests.pickled_engine import PickledEngine

NUMBERS = "1 -7 2.5 1,234.50 $9 1E5 007 inf 45% 1.234 1700000000 9007199254740993 1e39 1.10"
TIMES = "05/06/2023|31/12/2023 10:00|20230131|2024-01-31T10:00:00+02:00"
TEXTS = st.sampled_from(
    [*NUMBERS.split(), *TIMES.split("|"), "n/a", "", "yes", "Oslo", "K\u00f6ln", " padded"]
)
COLUMN = st.lists(st.none() | TEXTS, max_size=40) | st.lists(
    st.floats(-1e6, 1e6).map(repr), max_size=40
)


@settings(deadline=None)
@given(data=st.data(), values=COLUMN)
def test_column_evidence(data, values):
    array = pa.array(values, pa.string())
    decider = Decider()
    accumulator_laws.check(
        data,
        lambda: EvidenceFold(["a"]),
        len(array),
        lambda start, stop: {"a": observe(array[start:stop]).evidence},
        lambda found: [repr(decider.decide("a", found["a"]))],
    )


@settings(deadline=None)
@given(values=COLUMN)
def test_evidence_as_plain_values_is_the_evidence(values):
    evidence = observe(pa.array(values, pa.string())).evidence
    assert from_plain(ColumnEvidence, to_plain(evidence)) == evidence


@settings(deadline=None)
@given(
    data=st.data(), values=st.lists(st.none() | st.integers(-9, 9), max_size=60), by=st.booleans()
)
def test_split_evidence(data, values, by):
    columns = {
        "number": pa.array(values, pa.int64()),
        "text": pa.array([None if value is None else f"v{value % 4}" for value in values]),
        "fraction": pa.array(
            [None if value is None else value / 4 for value in values], pa.float64()
        ),
    }
    columns["text"] = columns["text"].cast(pa.string())
    splitting = ChosenSplit(["a", "b"], [0.5, 1.0], list(columns), "fraction" if by else "", "")

    def batch(start, stop):
        return splitting.look({name: rows[start:stop] for name, rows in columns.items()}).evidence

    def seen(found):
        if found is None:
            return None
        kinds = found.kinds
        return [
            kinds.rows,
            kinds.distinct,
            kinds.is_exact,
            np.asarray(kinds.by_split),
            {
                name: [
                    shown.present,
                    shown.is_text,
                    sorted(shown.texts.items()),
                    None if shown.sample is None else [shown.sample.keys, shown.sample.counts],
                ]
                for name, shown in found.columns.items()
            },
        ]

    accumulator_laws.check(data, SplitFold, len(values), batch, seen)


@settings(deadline=None)
@given(data=st.data(), values=st.lists(st.sampled_from(["train", "b", "test", None]), max_size=20))
def test_column_names(data, values):
    array = pa.array(values, pa.string())
    accumulator_laws.check(
        data, lambda: ColumnNames("part"), len(array), lambda start, stop: array[start:stop]
    )


@settings(deadline=None)
@given(data=st.data(), labels=st.lists(st.sampled_from(["a", "b", 1, 2.5, None]), max_size=40))
def test_row_facts(data, labels):
    def facts(row: int) -> BlockFacts:
        rejected = [RejectedRow("a.csv", row, f"reason {row % 3}", "x")] if row % 2 else []
        places = {"n": [("a.csv", row), ("a.csv", row + 1)]} if row % 5 else {}
        label = LabelFacts(labels[row])
        return BlockFacts(row // 7, row % 7, 3, rejected, label, places, {"n": row % 4, "m": 0})

    def batch(start: int, stop: int) -> RowFacts:
        found = RowFacts()
        for row in range(start, stop):
            found.add(facts(row))
        return found

    class Merged(RowFacts):
        """Takes the facts about several blocks at once."""

        def add(self, batch: Any) -> None:
            self.merge(batch)

        def from_state(self, state: bytes) -> "Merged":
            made = Merged()
            made.merge(super().from_state(state))
            return made

    def seen(found):
        label = found.label
        return [
            *(vars(row) for row in found.first_rejected),
            found.rows,
            dict(found.rejected),
            label.varied or label.value,
            dict(found.places),
            dict(found.missing),
        ]

    accumulator_laws.check(data, Merged, len(labels), batch, seen)


@settings(deadline=None)
@given(data=st.data(), values=st.lists(st.none() | TEXTS, max_size=20))
def test_pieces(data, values):
    decider = Decider()

    def assumed() -> Assumptions:
        shown = observe(pa.array(values[:3], pa.string())).evidence
        return Assumptions(decider, {"a": decider.decide("a", shown)}, are_final=False)

    def piece(number: int) -> PieceResult:
        evidence, facts = EvidenceFold(["a"]), RowFacts()
        evidence.add({"a": observe(pa.array(values[number : number + 1], pa.string())).evidence})
        rejected = [RejectedRow("a.csv", number, "odd", "x")] if number % 3 == 1 else []
        facts.add(BlockFacts(number, 0, 1, rejected))
        path = f"split=train/part-{number:05d}.parquet"
        shard = Shard(path, 1, 90 + number, "sha256:" + "0" * 64, (1, number))
        return PieceResult(number, {"train": [shard]}, facts, evidence, SplitFold())

    def batch(start: int, stop: int) -> PieceFold:
        found = PieceFold(assumed())
        for number in range(start, stop):
            found.add(piece(number))
        return found

    class Merged(PieceFold):
        """Takes several pieces at once."""

        def add(self, batch: Any) -> None:
            self.merge(batch)

        def from_state(self, state: bytes) -> "Merged":
            made = Merged(assumed())
            vars(made).update(vars(super().from_state(state)))
            return made

    def seen(found: PieceFold) -> list[Any]:
        decided = decider.decide("a", found.evidence.result()["a"])
        shards = [repr(sorted(shards.items())) for shards in found.in_order]
        return [repr(decided), found.facts.rows, shards, found.with_rejected]

    accumulator_laws.check(data, lambda: Merged(assumed()), len(values), batch, seen)


def test_wrong_decisions_show_at_the_first_rows_that_tell():
    decider = Decider()
    shown = observe(pa.array(["1", "2"])).evidence
    given = Assumptions(decider, {"a": decider.decide("a", shown)}, are_final=False)
    total = PieceFold(given)
    for number, text in enumerate(["1", "2", "Oslo", "3"]):
        evidence = EvidenceFold(["a"])
        evidence.add({"a": observe(pa.array([text])).evidence})
        part = PieceFold(given)
        part.add(PieceResult(number, {}, RowFacts(), evidence, SplitFold()))
        total.merge(part) if number else vars(total).update(vars(part))
        assert total.is_stale == given.watch.is_stale == (number >= 2)
    assert total.from_state(total.state()).is_stale
    # Another process has not seen it.
    assert not pickle.loads(pickle.dumps(given)).watch.is_stale


def outcome(
    data: Path | str, folder: Path, engine: Any = None, **options: Any
) -> tuple[dict[str, list[Any]], list[Any], list[Any]]:
    """Ingest; return the rows of each split in order, the rejected rows, and the findings."""
    split = SplitOptions(
        **{name: options.pop(name) for name in list(options) if name.startswith("split")}
    )
    request = IngestionRequest(
        IngestionOptions(str(data), split=split, max_rejected_fraction=1.0, **options),
        folder / "examples",
        folder / "rejected",
        folder / "summary.md",
    )
    ingest.run(request, engine)
    examples = Examples(folder / "examples")
    rows = {
        split: [row for file in shards for row in pq.read_table(file.uri).to_pylist()]
        for split, shards in examples.shards.items()
    }
    texts = [
        (folder / "examples" / name).read_text()
        for name in sorted(path.name for path in (folder / "examples").glob("*.json"))
        if name != "_manifest.json"
    ]
    return rows, pq.read_table(folder / "rejected" / "part-00000.parquet").to_pylist(), texts


@pytest.fixture
def small(monkeypatch):
    """Cut files into many pieces."""

    def cut(block_bytes: int, piece_bytes: int) -> None:
        monkeypatch.setattr(csv_source, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
        monkeypatch.setattr(source_pieces, "_SMALLEST", piece_bytes)
        monkeypatch.setattr(source_pieces, "_WANTED_PIECES", 1 << 30)

    return cut


NASTY = st.lists(
    st.tuples(
        st.integers(-3, 30),
        st.sampled_from(["x", "a\nb", 'say "no"', "c,d", "\r\n", "ä", "", "# no comment"]),
        st.sampled_from(["1.5", "2", "n/a", "odd"]),
        st.sampled_from([""] * 9 + [",9"]),
    ),
    min_size=12,
    max_size=80,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=NASTY,
    crlf=st.booleans(),
    mark=st.booleans(),
    end=st.sampled_from(["", "\n", "\n\n"]),
    block=st.integers(20, 400),
    piece=st.integers(20, 800),
    split=st.sampled_from(["keys", "row", "chosen"]),
)
def test_any_cut_gives_the_same_examples_and_rejected_rows(
    tmp_path_factory, small, monkeypatch, rows, crlf, mark, end, block, piece, split
):
    folder = tmp_path_factory.mktemp("cut")
    line_end = "\r\n" if crlf else "\n"
    lines = ["id,text,number"]
    for number, text, value, more in rows:
        quoted = text.replace('"', '""')
        lines.append(f'{number},"{quoted}",{value}{more}')
    data = folder / "a.csv"
    data.write_bytes((b"\xef\xbb\xbf" if mark else b"") + (line_end.join(lines) + end).encode())
    options: dict[str, Any] = {"split_fractions": {"train": 1.0}}
    options |= {"split_method": "row"} if split == "row" else {}
    options |= {"split_keys": ["id"]} if split == "keys" else {}
    whole = outcome(data, folder / "whole", **options)
    small(block, piece)
    assert outcome(data, folder / "threads", LocalEngine(3), **options) == whole
    assert outcome(data, folder / "processes", PickledEngine(), **options) == whole
    monkeypatch.undo()


@pytest.mark.parametrize(
    "options",
    [
        {"split_method": "hash"},
        {"split_method": "row"},
        {"split_keys": ["city"]},
        {"split_method": "time", "split_column": "day"},
        {"split_method": "column", "split_column": "part"},
    ],
    ids=["chosen", "row", "keys", "time", "column"],
)
def test_every_split_is_the_same_in_pieces(tmp_path, small, options):
    table = cases.people(900)
    table["day"] = [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(900)]
    table["part"] = [("train", "eval", "test")[row % 3] for row in range(900)]
    data = cases.write_csv(tmp_path / "a.csv", table)
    whole = outcome(data, tmp_path / "whole", label="churn", **options)
    assert all(whole[0].values())
    small(1_000, 4_000)
    engine = PickledEngine()
    assert outcome(data, tmp_path / "pieces", engine, label="churn", **options) == whole
    assert max(engine.pieces) > 5


def test_few_kinds_are_numbered_over_pieces(tmp_path, small, monkeypatch):
    lines = ["a,b,y", *(f"{row % 3},{row % 2},{row * 7 % 2}" for row in range(3000))]
    data = tmp_path / "a.csv"
    data.write_text("\n".join(lines))
    whole = outcome(data, tmp_path / "whole")
    small(500, 2_000)
    monkeypatch.setattr(passes, "RowsBefore", partial(RowsBefore, per_group=2))
    engine = PickledEngine()
    assert outcome(data, tmp_path / "pieces", engine) == whole
    # Pieces and groups of two of them.
    assert set(engine.pieces) == {9, 5}
    assert outcome(data, tmp_path / "threads", LocalEngine(2)) == whole
    assert not list((tmp_path / "threads").rglob("_row_numbers*"))


@pytest.mark.parametrize("name", ["a.csv.gz", "b.csv"])
def test_a_type_that_widens_late_is_right_in_all_pieces(tmp_path, small, name):
    lines = ["a,b", *(f"{row},{row % 5}" for row in range(3000)), "x,2.5"]
    text = "\n".join(lines).encode()
    data = tmp_path / name
    data.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    whole = outcome(data, tmp_path / "whole", column_types={"a": "text"})
    small(600, 2_000)
    for number, engine in enumerate((LocalEngine(2), PickledEngine())):
        found = outcome(data, tmp_path / str(number), engine, column_types={"a": "text"})
        assert found == whole


@pytest.mark.parametrize(
    ("encoding", "is_cut"),
    [
        ("utf-8", True),
        ("cp1252", True),
        ("latin-1", True),
        ("utf-16", False),
        ("gb18030", False),
        ("mixed", True),
    ],
)
def test_a_file_is_cut_where_its_encoding_lets_it(tmp_path, small, monkeypatch, encoding, is_cut):
    lines = ["id,text", *(f'{row},"\u00e9t\u00e9\n{row % 9}"' for row in range(400))]
    text = "\n".join(lines)
    data = tmp_path / "a.csv"
    if encoding == "mixed":
        # UTF-8 but for a few bytes.
        data.write_bytes(text.encode().replace(b"\xc3\xa9t", b"\xe9t", 3))
    else:
        data.write_bytes(text.encode(encoding))
    options = {"csv": CsvOptions(csv_encoding=encoding)} if encoding == "gb18030" else {}
    whole = outcome(data, tmp_path / "whole", **options)
    assert not whole[1]
    small(500, 1_000)
    monkeypatch.setattr(csv_source, "_LARGE", 1_000)
    engine = PickledEngine()
    rows, rejected, texts = outcome(data, tmp_path / "pieces", engine, **options)
    assert (rows, rejected) == whole[:2]
    assert (max(engine.pieces) > 3) == is_cut
    assert ("one-piece" in "".join(texts)) != is_cut


def test_shards_lie_where_they_are_told(tmp_path):
    data = cases.write_csv(tmp_path / "a.csv", cases.people(300))
    request = IngestionRequest(
        IngestionOptions(str(data), label="churn"),
        tmp_path / "examples",
        tmp_path / "rejected",
        tmp_path / "summary.md",
    )
    elsewhere = tmp_path / "elsewhere"
    result = ingest.run(request, shards_uri=str(elsewhere))
    assert not list((tmp_path / "examples").glob("split=*"))
    shards = Examples(tmp_path / "examples").shards
    assert {split: sum(each.rows for each in found) for split, found in shards.items()} == dict(
        result.rows
    )
    (attempt,) = elsewhere.iterdir()
    assert shards["train"][0].uri.startswith(str(attempt))
    with pytest.raises(ingest.UserError, match="nothing to learn"):
        ingest.run(
            dataclasses.replace(
                request, options=IngestionOptions(str(one_label(tmp_path)), label="y")
            ),
            shards_uri=str(elsewhere),
        )
    assert list(elsewhere.iterdir()) == [attempt]


def one_label(folder: Path) -> Path:
    data = folder / "one.csv"
    data.write_text("x,y\n" + "".join(f"{row},7\n" for row in range(90)))
    return data


def test_the_first_blocks_are_dropped_once_they_are_written():
    kept = passes.KeptBlocks(passes.deque([passes.ReadBlock(None)]), iter(()))
    assert len(list(kept.taken())) == 1
    assert not kept.blocks


def test_labels_are_counted_on_the_engine(tmp_path, small):
    """Of rows with one label that are all rejected; and where others are rejected, too."""
    lines = ["a,b,y", *(f"{row},{row % 7},{row % 2}" for row in range(900))]
    data = tmp_path / "a.csv"
    data.write_text("\n".join([*lines, *["1,2,3,1"] * 18]))
    small(500, 2_000)
    errors = []
    for number, engine in enumerate((LocalEngine(2), PickledEngine())):
        with pytest.raises(ingest.UserError, match="All 18 rows.*label '1', and 50.0%") as error:
            outcome(data, tmp_path / str(number), engine, label="y")
        errors.append(str(error.value))
    assert errors[0] == errors[1]
    # The last fold has a piece for each shard.
    pieces = engine.pieces
    assert pieces[-1] > 5
    data.write_text("\n".join([*lines, *["1,2,1,1", "1,2,0,0"] * 9]))
    engine = PickledEngine()
    assert len(outcome(data, tmp_path / "both", engine, label="y")[1]) == 18
    # Two labels are certain without a look at the shards.
    assert len(engine.pieces) < len(pieces)
