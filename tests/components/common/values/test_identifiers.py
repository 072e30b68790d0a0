"""Which columns identify rows or entities, and which whole numbers are codes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.values import identifiers
from kfp_tabular.components.common.values.codes import are_codes
from kfp_tabular.components.common.values.column_names import (
    suggests_code,
    suggests_identifier,
    suggests_quantity,
    words,
)

SEED = np.random.default_rng(5)


def judge(name, values):
    if isinstance(values[0], str):
        texts = list(values)
        evidence = identifiers.ValueEvidence(name, len(texts), len(set(texts)), texts=texts)
    else:
        numbers = np.asarray(values, np.float64)
        evidence = identifiers.ValueEvidence(
            name,
            len(numbers),
            len(np.unique(numbers)),
            numbers=numbers,
            low=numbers.min(),
            high=numbers.max(),
        )
    return identifiers.recognize(evidence)


SPARSE = SEED.choice(9 * 10**7, 3000, replace=False) + 10**7
CUSTOMERS = np.repeat(SPARSE[:1000], 3)
CODES = [f"AB-{number:05d}" for number in SEED.choice(10**5, 3000, replace=False)]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("customer_id", np.arange(3000) + 10_000_123, "row"),
        ("n", np.arange(3000), "row"),
        ("rownames", np.arange(60) + 85, "row"),
        ("account", SPARSE, "row"),
        ("x", SPARSE, "row"),
        ("customer_id", CUSTOMERS, "entity"),
        ("kunde", CUSTOMERS, "entity"),
        ("x", CUSTOMERS, "entity"),
        ("customer_id", np.repeat(np.arange(1000), 3), "entity"),
        ("ID", np.r_[SPARSE[:2800], SPARSE[:200]], "row"),
        ("code", CODES, "row"),
        ("x", CODES[:1000] * 3, "entity"),
        ("user", [f"name{index}" for index in range(1000)] * 3, "entity"),
    ],
)
def test_identifiers(name, values, kind):
    assert judge(name, values) == kind


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("income", np.round(SEED.lognormal(10.5, 0.5, 3000))),
        ("salary", SEED.integers(20_000, 90_000, 3000)),
        ("x", SEED.integers(20_000, 90_000, 3000)),
        ("x", SEED.integers(100, 999, 3000) * 100_000),
        ("x", np.round(SEED.lognormal(16, 0.3, 3000))),
        ("population", SPARSE),
        ("account_balance", SPARSE),
        ("age", SEED.integers(18, 90, 3000)),
        ("visits", SEED.poisson(3, 3000)),
        ("store_id", SEED.integers(0, 40, 3000)),
        ("driver_id", SEED.integers(0, 200, 4000)),
        ("t", SEED.integers(1_650_000_000, 1_680_000_000, 3000)),
        ("day", SEED.choice([20230101 + 100 * month for month in range(12)], 3000)),
        ("x", np.arange(49)),
        ("index", np.tile(np.arange(50), 4)),
        ("version", [f"1.{index}.{index % 7}" for index in range(70)] * 30),
        ("clock", [f"{index % 24:02d}:{index % 60:02d}" for index in range(3000)]),
        ("note", [f"called {index} times" for index in range(3000)]),
        ("surname", ["Mc" + "abcdefghij"[i % 10] * (i % 90 + 1) for i in range(3000)]),
        ("city", ["Paris", "Oslo", "London"] * 1000),
        ("when", [f"2013-01-{d:02d}T{h:02d}:00:00Z" for d in range(1, 29) for h in range(24)] * 3),
        ("day", [f"{d:02d}.{m:02d}.2023" for d in range(1, 29) for m in range(1, 13)] * 3),
    ],
)
def test_other_columns(name, values):
    assert judge(name, values) is None


def test_columns_of_examples():
    numbers = pa.array([*SPARSE.tolist(), None], pa.float64())
    assert identifiers.of_column("account", numbers) == "row"
    assert identifiers.of_column("x", pa.array([*CODES, None, ""])) == "row"
    assert identifiers.of_column("x", pa.array([0.5, None] * 500)) is None
    assert identifiers.of_column("x", pa.nulls(500, pa.float64())) is None
    assert identifiers.of_column("x", pa.nulls(500, pa.string())) is None


def drawn_identifiers(low: int, each: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    above = 10 ** len(str(low)) - low
    return random.permutation(np.repeat(low + random.choice(above, 800, replace=False), each))


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["customer_id", "accountNumber"]),
    low=st.integers(10**6, 9 * 10**8),
    each=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_random_identifiers_are_recognized_whatever_their_range(name, low, each, seed):
    assume(10 ** len(str(low)) - low >= 800)
    found = judge(name, drawn_identifiers(low, each, seed))
    assert found == ("row" if each == 1 else "entity")


@pytest.mark.parametrize("name", ["x", "Spalte 3"])
@pytest.mark.parametrize("each", [1, 3])
def test_most_random_identifiers_are_recognized_without_a_telling_name(name, each):
    """Whether numbers are spread evenly is a test, which 1 to 2% of even ones fail by chance."""
    kinds = [judge(name, drawn_identifiers(10_000_123, each, seed)) for seed in range(50)]
    assert kinds.count("row" if each == 1 else "entity") >= 47


@settings(max_examples=30, deadline=None)
@given(
    mean=st.floats(1, 14),
    spread=st.floats(0.05, 2),
    rows=st.integers(200, 3000),
    seed=st.integers(0, 99),
)
def test_measured_quantities_are_not_identifiers(mean, spread, rows, seed):
    values = np.round(np.random.default_rng(seed).lognormal(mean, spread, rows))
    assert judge("amount", values) is None


@pytest.mark.parametrize(
    ("name", "values", "codes"),
    [
        ("units", [*range(11), *range(12, 24)], False),
        ("tenure", range(72), False),
        ("age", range(18, 90), False),
        ("visits", [*range(10), 12], False),
        ("x", [1, 2, 3, 7], False),
        ("year", [1999, 2003, 2004, 2009], False),
        ("x", [1999, 2003, 2004, 2009], False),
        ("price", [199, 299, 499, 999], False),
        ("dose", [100, 250, 500], False),
        ("quality", range(3, 10), False),
        ("http_status", [200, 301, 404, 500], True),
        ("x", [200, 301, 404, 500], True),
        ("product_type", [1, 2, 3], True),
        ("MSSubClass", [20, 30, 40, 45, 50, 60], True),
        ("zip", [10115, 10117, 20095], True),
        ("PULocationID", range(1, 266), True),
        ("pickup_community_area", range(1, 78), True),
        ("Pool_Area", [0, 144, 228, 444], False),
        ("num_classes", [1, 2, 3], False),
    ],
)
def test_codes(name, values, codes):
    assert are_codes(name, list(values), rows=3000) == codes


def test_codes_repeat():
    assert not are_codes("zip", list(range(100)), rows=500)


def test_names_of_identifiers():
    for name in ("id", "ID", "customer_id", "OrderID", "rowId", "trip key", "uuid", "kundennummer"):
        assert suggests_identifier(name)
    for name in ("paid", "humidity", "grid", "x", "keyed", "children_no", "card_count", "", "%"):
        assert not suggests_identifier(name)


@given(st.text(max_size=20))
def test_every_name_has_words(name):
    assert all(word == word.lower() for word in words(name))
    assert not (suggests_code(name) and suggests_quantity(name)) or len(words(name)) > 1
