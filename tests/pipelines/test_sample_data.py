import csv
import datetime
import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.sample_data import LABELS, generate, write_csv
from kfp_tabular.pipelines.sample_data.draws import Draws
from kfp_tabular.pipelines.sample_data.merchants import CATEGORIES, merchants


@pytest.fixture(scope="module")
def table():
    return generate(20_000, 7)


def numpy(table, name):
    return table[name].to_numpy(zero_copy_only=False)


def test_same_arguments_give_the_same_table_on_every_machine():
    text = json.dumps(generate(500, 7).to_pylist(), ensure_ascii=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "befd7a1046e9021315eb7a6b17aafa17b579cfad35fa81043d7db12cba89cb66"
    )


def test_another_seed_gives_other_data(table):
    other = generate(20_000, 8)
    assert other.schema == table.schema
    for name in ("amount", "merchant", "is_fraud"):
        assert not other[name].equals(table[name])


def test_columns(table):
    assert table.num_rows == 20_000
    assert {field.name: str(field.type) for field in table.schema} == {
        "transaction_id": "string",
        "card_id": "string",
        "timestamp": "string",
        "amount": "double",
        "merchant": "string",
        "merchant_category": "string",
        "country": "string",
        "card_country": "string",
        "entry_mode": "string",
        "device": "string",
        "new_device": "bool",
        "customer_age": "int64",
        "distance_from_home_km": "double",
        "days_since_last_transaction": "double",
        "transactions_last_day": "int64",
        "is_weekend": "int64",
        "promotion_code": "string",
        "is_fraud": "int64",
    }
    assert pc.count_distinct(table["transaction_id"]).as_py() == table.num_rows


def test_missing_values_are_where_they_are_said_to_be(table):
    shares = {name: table[name].null_count / table.num_rows for name in table.column_names}
    expected = {
        "customer_age": 0.04,
        "distance_from_home_km": 0.03,
        "device": 0.01,
        "promotion_code": 0.96,
    }
    for name, share in expected.items():
        assert shares.pop(name) == pytest.approx(share, rel=0.25)
    cards = pc.count_distinct(table["card_id"]).as_py()
    assert shares.pop("days_since_last_transaction") == cards / table.num_rows
    assert set(shares.values()) == {0.0}


def test_amounts_are_skewed_and_in_cents(table):
    amount = numpy(table, "amount")
    assert amount.min() >= 0.5
    assert np.mean(amount) > 1.5 * np.median(amount)
    assert np.array_equal(np.round(amount, 2), amount)


def test_merchants_have_a_long_tail_of_awkward_names(table):
    counts = np.sort([entry["counts"] for entry in table["merchant"].value_counts().to_pylist()])
    assert counts[-10:].sum() > 0.15 * table.num_rows
    assert np.median(counts) < 10
    names = table["merchant"].unique().to_pylist()
    assert any("," in name for name in names)
    assert any('"' in name for name in names)
    assert any(not name.isascii() for name in names)
    assert any('"' in name and "," in name for name in merchants().names)


def test_a_merchant_sells_one_kind_of_thing(table):
    pairs = table.group_by(["merchant", "merchant_category"]).aggregate([])
    assert pairs.num_rows == pc.count_distinct(table["merchant"]).as_py()


def test_history_is_that_of_the_rows_themselves():
    rows = generate(3000, 1).to_pylist()
    seen = {}
    for row in rows:
        at = datetime.datetime.fromisoformat(row["timestamp"])
        earlier = seen.setdefault(row["card_id"], [])
        days = row["days_since_last_transaction"]
        if earlier:
            assert days == pytest.approx((at - earlier[-1]).total_seconds() / 86_400, abs=6e-4)
        else:
            assert days is None
        last_day = sum((at - other).total_seconds() <= 86_400 for other in earlier)
        assert row["transactions_last_day"] == last_day
        assert row["is_weekend"] == (at.weekday() >= 5)
        earlier.append(at)
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)
    assert max(row["transactions_last_day"] for row in rows) >= 3


@pytest.mark.parametrize("rows", [100, 149, 20_000])
def test_two_percent_are_fraud(rows):
    label = numpy(generate(rows, 3), "is_fraud")
    assert set(label) == {0, 1}
    assert label.sum() == round(0.02 * rows)


def test_fraud_can_be_found_but_not_perfectly():
    table = generate(200_000, 7)
    fraud = numpy(table, "is_fraud") == 1
    hour = np.array([int(at[11:13]) for at in table["timestamp"].to_pylist()])
    online = pc.equal(table["entry_mode"], "online").to_numpy(zero_copy_only=False)
    abroad = pc.not_equal(table["country"], table["card_country"]).to_numpy(zero_copy_only=False)
    new = numpy(table, "new_device")
    night = hour < 6
    base = fraud.mean()
    # The interactions: each part tells little, together they tell much.
    assert fraud[night & online].mean() > 2 * max(fraud[night].mean(), fraud[online].mean())
    assert fraud[abroad & new].mean() > 2 * max(fraud[abroad].mean(), fraud[new].mean())
    # Nothing gives it away, and nothing rules it out.
    assert fraud[abroad & new].mean() < 0.9
    calm = ~night & ~online & ~abroad & ~new
    assert 0 < fraud[calm].mean() < base


@pytest.mark.parametrize(("task", "label"), LABELS.items())
def test_each_task_has_its_label_and_the_same_features(table, task, label):
    other = generate(20_000, 7, task)
    assert other.column_names == [*table.column_names[:-1], label]
    assert other.drop_columns(label).equals(table.drop_columns("is_fraud"))
    assert other[label].null_count == 0


def test_purposes_are_four_and_none_is_rare():
    counts = generate(20_000, 7, "multiclass")["purpose"].value_counts().to_pylist()
    assert {entry["values"] for entry in counts} == {"household", "leisure", "travel", "business"}
    assert min(entry["counts"] for entry in counts) > 1000


def test_settlement_takes_hours_and_waits_for_monday():
    table = generate(20_000, 7, "regression")
    hours = numpy(table, "settlement_hours")
    weekend = numpy(table, "is_weekend") == 1
    assert hours.min() > 0
    assert hours.max() < 24 * 14
    assert hours[weekend].mean() > 2 * hours[~weekend].mean()


def test_csv_reads_back(table, tmp_path):
    file = tmp_path / "new" / "transactions.csv"
    write_csv(table, file)
    with file.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == table.column_names
    assert len(rows) == table.num_rows
    position = header.index("merchant")
    assert [row[position] for row in rows] == table["merchant"].to_pylist()
    read = arrow_csv.read_csv(
        file,
        convert_options=arrow_csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    assert read.equals(table)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_an_existing_file_is_replaced(table, tmp_path):
    file = tmp_path / "transactions.csv"
    file.write_text("old")
    write_csv(table.slice(0, 3), file)
    assert len(file.read_text().splitlines()) == 4


def test_a_file_that_cannot_be_written_is_the_users_error(table, tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    for target in (tmp_path, tmp_path / "file" / "transactions.csv"):
        with pytest.raises(UserError, match="cannot write"):
            write_csv(table, target)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((99, 0), "rows: 99 are too few"),
        ((0, 0), "rows: 0 are too few"),
        ((1000, -1), "seed: -1 is negative"),
        ((1000, 0, "binry"), "task: 'binry' is not one of.* Did you mean 'binary'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=message):
        generate(*arguments)


@given(
    seed=st.integers(0, 2**64),
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=20).filter(lambda w: sum(w) > 1e-3),
)
def test_choice_takes_only_what_has_weight(seed, weights):
    drawn = Draws(seed).choice(np.array(weights), 200)
    assert all(weights[index] > 0 for index in drawn)


def test_draws_have_the_moments_they_should():
    draws, count = Draws(1), 200_000
    for drawn, mean, deviation in (
        (draws.uniform(count), 0.5, 12**-0.5),
        (draws.normal(count), 0.0, 1.0),
        (draws.exponential(count), 1.0, 1.0),
        (draws.logistic(count), 0.0, np.pi / 3**0.5),
        (draws.gumbel(count), np.euler_gamma, np.pi / 6**0.5),
    ):
        assert np.isfinite(drawn).all()
        assert drawn.mean() == pytest.approx(mean, abs=0.02)
        assert drawn.std() == pytest.approx(deviation, rel=0.02)
    assert draws.happens(0.3, count).mean() == pytest.approx(0.3, abs=0.01)


def test_the_catalog_has_no_name_twice():
    catalog = merchants()
    assert len(set(catalog.names)) == len(catalog.names) == len(catalog.category)
    assert set(catalog.category) == set(range(len(CATEGORIES)))
    assert isinstance(pa.array(catalog.names), pa.StringArray)
