"""The split must not decide the label."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.values.hashes import (
    hash_rows,
    hash_values,
)
from kfp_tabular.components.data_ingestion.readers import csv_source
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowNumbers
from kfp_tabular.components.data_ingestion.splits.split_evidence import (
    ColumnEvidence,
    Kinds,
    sampled_rows,
)
from kfp_tabular.components.data_ingestion.splits.value_sample import ValueSample
from tests import cases

FRACTIONS = {"train": 0.7, "eval": 0.15, "test": 0.15}


def split_of_rows(got) -> dict[tuple[Any, ...], set[str]]:
    """The splits that hold each distinct row, without the label, which comes last."""
    found: dict[tuple[Any, ...], set[str]] = {}
    for split in got.examples.splits:
        for row in zip(*got.split(split).to_pydict().values(), strict=True):
            found.setdefault(row[:-1], set()).add(split)
    return found


def found_in(got) -> dict[str, findings.Finding]:
    return {finding.code: finding for finding in findings.read(got.path / "examples")}


def csv(path: Path, table: cases.Table) -> Path:
    return cases.write_csv(path / "table.csv", table)


def test_few_kinds_of_row_stay_together_whatever_their_label(run, tmp_path):
    data = csv(tmp_path, cases.passengers())
    got = run(data, label="survived", split_fractions=FRACTIONS)
    splits = split_of_rows(got)
    assert len(splits) == 72
    assert all(len(names) == 1 for names in splits.values())
    assert min(got.result.rows.values()) > 300
    assert got.result.examples_lineage["split"]["keys"] == ["pclass", "sex", "age", "port"]
    note = found_in(got)["split-keys"]
    assert "72 distinct of 4,000" in note.message
    assert note.option == 'split_keys=["pclass", "sex", "age", "port"]'
    # Labels are as frequent in each split as chance would have it among 72 kinds.
    shares = {name: np.mean(got.split(name)["survived"]) for name in FRACTIONS}
    assert all(abs(share - 0.515) < 0.2 for share in shares.values())


def test_six_kinds_of_row_are_split_by_row(run, tmp_path):
    chance = random.Random(0)
    table = {
        "shape": [chance.choice("abc") for _ in range(3000)],
        "large": [chance.choice([0, 1]) for _ in range(3000)],
        "good": [chance.choice([0, 1]) for _ in range(3000)],
    }
    data = csv(tmp_path, table)
    got = run(data, label="good", split_fractions=FRACTIONS)
    for name, share in FRACTIONS.items():
        assert got.result.rows[name] == pytest.approx(3000 * share, abs=100)
        assert len(set(zip(*got.split(name).to_pydict().values(), strict=True))) == 12
    note = found_in(got)["split-by-row"]
    assert "6 kinds of row among 3,000" in note.message
    # The order of the rows decides nothing, and the line that is shown gives the same split.
    order = random.Random(1).sample(range(3000), 3000)
    shuffled = {name: [values[row] for row in order] for name, values in table.items()}
    again = run(csv(tmp_path / "b", shuffled), "b", label="good", split_fractions=FRACTIONS)
    line = run(
        data,
        "c",
        label="good",
        split_fractions=FRACTIONS,
        split_method="row",
        split_keys=["shape", "large", "good"],
    )
    assert rows_by_split(got) == rows_by_split(again) == rows_by_split(line)


def rows_by_split(got, columns=None) -> dict[str, Counter]:
    names = columns or list(got.types)
    return {
        split: Counter(zip(*got.split(split).select(names).to_pydict().values(), strict=True))
        for split in got.examples.splits
    }


def test_an_identifier_does_not_separate_equal_rows(run, tmp_path):
    chance = random.Random(0)
    people = cases.people(600)
    table = {name: [value for value in people[name] for _ in range(5)] for name in people}
    table["churn"] = [chance.randint(0, 1) for _ in range(3000)]
    table = {"row": list(range(3000)), **table}
    got = run(csv(tmp_path, table), label="churn", split_fractions=FRACTIONS)
    splits: dict[Any, set[str]] = {}
    for row, names in split_of_rows(got).items():
        splits.setdefault(row[1:], set()).update(names)
    assert len(splits) == 600
    assert all(len(names) == 1 for names in splits.values())
    note = found_in(got)["split-keys"]
    assert "'row'" in note.message
    assert "600 distinct of 3,000" in note.message


@pytest.mark.parametrize("spelling", ["{}", "{}.0", "C-{}"])
def test_an_entity_with_several_rows_is_named(run, tmp_path, spelling):
    table = cases.people()
    table["customer_id"] = [
        spelling.format(10_000_000 + row // 3) if row % 97 else None for row in range(3000)
    ]
    got = run(csv(tmp_path, table), label="churn", split_fractions=FRACTIONS)
    warning = found_in(got)["entity"]
    assert warning.severity == "warning"
    assert warning.option == 'split_keys=["customer_id"]'
    assert "1,000 values with 3.0 rows each" in warning.message


def test_an_entity_that_is_a_feature_is_named(run, tmp_path):
    table = cases.people()
    table["card_id"] = [f"C{row % 75:07}" for row in range(3000)]
    table["store"] = table["card_id"]
    got = run(csv(tmp_path, table), label="churn", split_fractions=FRACTIONS)
    assert "card_id" in got.result.examples_lineage["split"]["keys"]
    note = found_in(got)["entity"]
    assert (note.severity, note.column) == ("note", "card_id")
    assert "75 values with 40.0 rows each" in note.message


def test_a_time_that_repeats_is_no_entity(run, tmp_path):
    days = [f"2024-{1 + n % 12:02}-{1 + n // 12 % 28:02}" for n in range(300)]
    table = {
        "date_id": [day for day in days for _ in range(3)],
        "amount": [n % 17 for n in range(900)],
        "y": [n % 2 for n in range(900)],
    }
    got = run(csv(tmp_path, table))
    assert "entity" not in found_in(got)


def test_excluded_columns_do_not_decide_the_split(run, tmp_path):
    data = csv(tmp_path, cases.people())
    got = run(data, label="churn", exclude=["age", "city"], keep=["city"])
    assert got.result.examples_lineage["split"]["keys"] == ["income", "visits"]
    assert "city" in got.types


def test_columns_that_reading_adds_do_not_decide_the_split(run, tmp_path):
    table = cases.people()
    table["income"] = cases.spoil(table["income"], {"broken sensor": 0.01})
    got = run(csv(tmp_path, table), label="churn", odd_values="flag", split_fractions=FRACTIONS)
    keys = got.result.examples_lineage["split"]["keys"]
    assert keys == ["age", "income", "city", "visits"]
    assert set(got.types) > {*keys, "churn"}
    again = run(
        csv(tmp_path, table), "b", label="churn", split_fractions=FRACTIONS, split_keys=keys
    )
    assert rows_by_split(got, keys) == rows_by_split(again, keys)


def test_two_nights_with_other_spellings(run, tmp_path):
    """Numbers keep their splits however they are written."""
    plain = cases.people(2000)
    spelled = dict(plain)
    comma = str.maketrans("_.", ".,")
    spelled["income"] = [f"{value:_.2f}".translate(comma) for value in plain["income"]]
    first = run(csv(tmp_path, plain), label="churn", split_fractions=FRACTIONS)
    keys = first.result.examples_lineage["split"]["keys"]
    assert keys == ["age", "income", "city", "visits"]
    file = cases.write_csv(tmp_path / "b.csv", spelled, delimiter=";")
    second = run(file, "b", label="churn", split_fractions=FRACTIONS, split_keys=keys)
    assert rows_by_split(first) == rows_by_split(second)


def test_a_clean_table_has_one_note(run, tmp_path):
    got = run(csv(tmp_path, cases.people()), label="churn", split_fractions=FRACTIONS)
    assert list(found_in(got)) == ["split-keys"]


def test_one_time_column_is_hinted_at(run, tmp_path):
    table = cases.people()
    chance = random.Random(0)
    days = [f"2024-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}" for _ in range(3000)]
    got = run(csv(tmp_path, {"joined": days, **table}), label="churn")
    note = found_in(got)["time-column"]
    assert (note.severity, note.option) == ("note", "split_method=time, split_column=joined")
    both = run(csv(tmp_path, {"joined": days, "left": days, **table}), "b", label="churn")
    assert "time-column" not in found_in(both)


@pytest.mark.parametrize(
    ("spell", "options", "is_hinted"),
    [
        (lambda day: 1_700_000_000_000 + 86_400_000 * day, {}, True),
        (lambda day: f"{day % 28 + 1:02d}.{day % 12 + 1:02d}.2023 18:05", {}, True),
        (lambda day: f"20{day % 24:02d}-01-01", {}, True),
        (lambda day: f"2024-{day % 12 + 1:02d}-01", {}, False),
        (lambda day: f"2024-{day % 12 + 1:02d}-{day % 28 + 1:02d}", {"joined": "text"}, False),
    ],
    ids=["milliseconds", "day first", "few", "too few", "told to be text"],
)
def test_the_hint_at_a_time_follows_the_format(run, tmp_path, spell, options, is_hinted):
    table = {"joined": [spell(row * 7 % 300) for row in range(3000)], **cases.people()}
    got = run(csv(tmp_path, table), label="churn", column_types=options)
    assert ("time-column" in found_in(got)) == is_hinted


@pytest.mark.parametrize("few_kinds", [False, True])
def test_two_nights(run, tmp_path, few_kinds):
    """The second night has a new column, a wider type and twice the rows."""
    table = cases.passengers(300) if few_kinds else cases.people(2000)
    if few_kinds:
        table = {"pclass": table["pclass"], "sex": table["sex"], "survived": table["survived"]}
    label = list(table)[-1]
    first = run(csv(tmp_path, table), label=label, split_fractions=FRACTIONS)
    chosen = first.result.examples_lineage["split"]
    assert chosen["method"] == ("row" if few_kinds else "hash")
    more = cases.passengers(600, seed=1) if few_kinds else cases.people(4000, seed=1)
    grown = {name: [*table[name], *more[name][len(table[name]) :]] for name in table}
    number = "pclass" if few_kinds else "age"
    grown[number][-1] = 2.5
    grown["new"] = [row % 7 for row in range(len(grown[label]))]
    second = run(
        csv(tmp_path / "b", grown),
        "second",
        label=label,
        split_fractions=FRACTIONS,
        split_method=chosen["method"],
        split_keys=chosen["keys"],
    )
    names = list(table)
    before, after = rows_by_split(first, names), rows_by_split(second, names)
    for split in FRACTIONS:
        assert before[split] <= after[split]


def test_the_choice_of_the_first_blocks_is_verified(run, tmp_path, monkeypatch):
    """A column that looks like an identifier at first, and is none in the end, splits again."""
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 4_000)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    table = cases.people(4000)
    table = {"code": [f"x{row}" for row in range(3000)] + ["y1"] * 1000, **table}
    del table["income"]
    small = run(csv(tmp_path, table), label="churn", split_fractions=FRACTIONS)
    monkeypatch.undo()
    whole = run(csv(tmp_path, table), "b", label="churn", split_fractions=FRACTIONS)
    assert small.result.examples_lineage["split"] == whole.result.examples_lineage["split"]
    assert "code" in whole.result.examples_lineage["split"]["keys"]
    assert rows_by_split(small) == rows_by_split(whole)


VALUES = st.lists(st.one_of(st.none(), st.integers(-20, 20)), min_size=1, max_size=60)


@given(VALUES, st.integers(1, 40), st.sampled_from([3, 10, 1000]), st.booleans())
def test_evidence_does_not_depend_on_how_rows_are_cut(values, piece, expected, as_text):
    whole = pa.array(values, pa.int64())
    if as_text:
        whole = pa.array([None if value is None else f"v{value}" for value in values], pa.string())
    pieces = [whole[start : start + piece] for start in range(0, len(whole), piece)]

    def evidence(rows: pa.Array) -> ColumnEvidence:
        return ColumnEvidence.of(rows, hash_values(rows), expected)

    one, merged = evidence(whole), ColumnEvidence.merge([evidence(rows) for rows in pieces])
    assert merged.sample is not None
    assert one.sample is not None
    assert merged.sample.keys.tolist() == one.sample.keys.tolist()
    assert merged.sample.counts.tolist() == one.sample.counts.tolist()
    assert (merged.present, merged.sample.rows) == (one.present, one.sample.rows)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.integers(1, 60))
def test_kinds_do_not_depend_on_how_rows_are_cut(values, piece):
    hashes = hash_rows({"a": pa.array(values)})
    splits = (hashes % np.uint64(3)).astype(np.intp)
    whole = Kinds.of(hashes, splits, 3)
    starts = range(0, len(values), piece)
    pieces = [slice(start, start + piece) for start in starts]
    merged = Kinds.merge([Kinds.of(hashes[part], splits[part], 3) for part in pieces])
    assert merged.distinct == whole.distinct == len(set(values))
    assert merged.by_split.tolist() == whole.by_split.tolist()


@settings(max_examples=20)
@given(st.integers(5_000, 60_000), st.integers(1, 5))
def test_the_number_of_distinct_values_is_estimated(distinct, rows_each):
    keys = hash_values(pa.array(np.arange(distinct).repeat(rows_each)))
    sample = ValueSample.of(keys, sampled_rows(10))
    kept = max(len(sample.keys), 1)
    assert sample.distinct == pytest.approx(distinct, rel=5 / np.sqrt(kept))
    assert set(sample.counts.tolist()) == {rows_each}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 20))
def test_equal_rows_are_numbered_across_blocks(values, piece):
    hashes = hash_rows({"a": pa.array(values)})
    numbers = RowNumbers()
    got = [
        number
        for start in range(0, len(values), piece)
        for number in numbers.of(hashes[start : start + piece]).tolist()
    ]
    seen: Counter = Counter()
    expected = []
    for value in values:
        expected.append(seen[value])
        seen[value] += 1
    assert got == expected


@pytest.mark.parametrize("rows", [20_000, 50_000])
def test_there_are_at_most_as_many_kinds_as_rows(rows):
    hashes = np.random.default_rng(rows).integers(0, 2**64, rows, np.uint64)
    kinds = Kinds.of(hashes, np.zeros(rows, np.intp), 1)
    assert not kinds.is_exact
    assert 0.97 * rows <= kinds.distinct <= rows
