"""How a column is read, decided from what all of its values show."""

import itertools
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.values.column_format import ColumnFormat, NumberFormat
from kfp_tabular.components.data_ingestion.columns import column_decision, conversion
from kfp_tabular.components.data_ingestion.columns.column_decision import Wishes
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence, observe

ROWS = 1_000


def decide(values, cuts=(), **wishes):
    evidence = ColumnEvidence()
    bounds = [0, *sorted(cuts), len(values)]
    for start, end in itertools.pairwise(bounds):
        evidence.add(observe(pa.array(values[start:end], pa.string())).evidence)
    return column_decision.decide("x", evidence, Wishes(**wishes))


def read(values, **wishes):
    """Return the decision and the values as in the examples."""
    decision = decide(values, **wishes)
    observed = observe(pa.array(values, pa.string()))
    return decision, conversion.convert(observed.values, decision, observed.numbers).values


def column(write, rows=ROWS, seed=0):
    source = random.Random(seed)
    return [write(source) for _ in range(rows)]


def some(values, share, odd, seed=1):
    """Put odd texts in a share of the rows."""
    source = random.Random(seed)
    return [source.choice(odd) if source.random() < share else value for value in values]


def plain(source):
    return f"{source.uniform(0, 5000):.2f}"


def us(source):
    return f"{source.uniform(0, 5000):,.2f}"


def german(source):
    return us(source).translate(str.maketrans(",.", ".,"))


NUMBERS = {
    "thousands": (us, NumberFormat(thousands=",")),
    "german": (german, NumberFormat(decimal=",", thousands=".")),
    "french": (
        lambda source: us(source).replace(",", "\u202f").replace(".", ","),
        NumberFormat(decimal=",", thousands=" "),
    ),
    "blanks": (lambda source: us(source).replace(",", " "), NumberFormat(thousands=" ")),
    "swiss": (lambda source: us(source).replace(",", "\u2019"), NumberFormat(thousands="'")),
    "dollars": (lambda source: f"${us(source)}", NumberFormat(thousands=",", units=("$",))),
    "euros": (lambda source: f"{german(source)} EUR", NumberFormat(",", ".", ("EUR",))),
    "percent": (lambda source: f"{source.uniform(0, 100):.1f}%", NumberFormat(percent=True)),
    "parentheses": (
        lambda source: f"({plain(source)})" if source.random() < 0.3 else plain(source),
        NumberFormat(parentheses=True),
    ),
    "minus": (lambda source: f"\u2212{plain(source)}", None),
    "decimal comma": (lambda source: plain(source).replace(".", ","), NumberFormat(",")),
    "plain": (plain, None),
    "weights": (lambda source: f"{plain(source)} kg", NumberFormat(units=("kg",))),
}


@pytest.mark.parametrize(("write", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_in_many_notations(write, expected):
    values = column(write)
    decision, numbers = read(values)
    assert decision.format == ColumnFormat("number", expected)
    assert numbers.null_count == 0
    # A handful of odd values changes nothing but those rows.
    odd = some(values, 0.02, ["n/d", "?", "oops", "#DIV/0!", "\0"])
    decision, again = read(odd)
    assert decision.format == ColumnFormat("number", expected)
    kept = [row for row in range(ROWS) if odd[row] == values[row]]
    assert again.take(kept).equals(numbers.take(kept))
    assert again.null_count == ROWS - len(kept)
    assert any(finding.severity == "warning" for finding in decision.findings)


def test_integers_with_thousands():
    decision, numbers = read(column(lambda source: f"{source.randint(1000, 9999):,}"))
    assert decision.format == ColumnFormat("integer", NumberFormat(thousands=","))
    assert pa.types.is_int64(numbers.type)


def test_a_point_separates_thousands_where_smaller_numbers_have_none():
    values = column(lambda source: f"{source.randint(1, 9999):,}".replace(",", "."))
    decision, numbers = read(values)
    assert decision.format.number == NumberFormat(",", ".")
    assert numbers.to_pylist() == [int(value.replace(".", "")) for value in values]
    assert [finding.code for finding in decision.findings if finding.severity == "warning"] == [
        "thousands"
    ]


@pytest.mark.parametrize(
    ("marker", "share"),
    [
        *((marker, 0.02) for marker in ("?", "-", "n/d", "unknown", "#DIV/0!", "\0", "weird")),
        ("\\N", 0.1),
        ("NULL", 0.4),
        ("-", 0.6),
    ],
)
def test_markers_are_missing_and_listed(marker, share):
    values = some(column(lambda source: str(source.randint(0, 99))), share, [marker])
    decision, numbers = read(values)
    assert decision.format.kind == "integer"
    assert numbers.null_count == values.count(marker)
    (finding,) = decision.findings
    assert f"{marker!r} ({values.count(marker):,})" in finding.message
    assert finding.option


def test_usual_markers_are_no_warning():
    decision, _ = read(some(column(plain), 0.1, ["NA"]))
    assert [finding.severity for finding in decision.findings] == ["note"]


def test_limits_are_numbers_with_a_flag():
    values = some(column(plain), 0.01, ["<0.5", ">100"])
    decision = decide(values)
    assert decision.format.number == NumberFormat(limits=True)
    converted = conversion.convert(pa.array(values), decision)
    assert converted.values.null_count == 0
    flags = converted.derived["x_limit"].to_pylist()
    assert [flags[row] for row in range(ROWS) if values[row] == "<0.5"] == [-1] * values.count(
        "<0.5"
    )
    assert flags.count(1) == values.count(">100")


def test_mixed_currencies():
    values = column(lambda source: source.choice(["${}", "{} EUR", "€{}"]).format(us(source)))
    decision = decide(values)
    converted = conversion.convert(pa.array(values), decision)
    assert set(converted.derived["x_currency"].to_pylist()) == {"$", "\u20ac"}
    assert "mixed-currencies" in [finding.code for finding in decision.findings]


TEXTS = {
    "codes": lambda source: source.choice(["1E5", "10E4", "100E3", "2E7"]),
    "versions": lambda source: source.choice(["1.1", "1.10", "1.9", "2.0"]),
    "zip codes": lambda source: f"{source.randint(0, 99999):05d}",
    "house numbers": lambda source: f"{source.randint(1, 99)}{source.choice(['', '', 'a', 'b'])}",
    "addresses": lambda source: f"{source.randint(1, 999)} Main Street",
    "ranges": lambda source: source.choice(["10-20", "20-30", "30-40"]),
    "times of day": lambda source: f"{source.randint(0, 23):02d}:{source.randint(0, 59):02d}",
    "ip addresses": lambda source: ".".join(str(source.randint(0, 255)) for _ in range(4)),
    "local ip addresses": lambda source: f"192.168.{source.randint(0, 255)}.{source.randint(0, 9)}",
    "phone numbers": lambda source: f"555 {source.randint(100, 999)} {source.randint(100, 999)}",
    "international numbers": lambda source: f"+49 170 {source.randint(10**6, 10**7 - 1)}",
    "product codes": lambda source: f"{source.choice('ABC')}{source.randint(100, 999)}",
    "mixed codes": lambda source: (
        f"{source.randint(100, 999)}{'X' if source.random() < 0.04 else ''}{source.randint(0, 9)}"
    ),
    "hashes": lambda source: f"{source.getrandbits(32):08x}",
    "sizes": lambda source: source.choice(["38", "40", "42", "M", "L", "XL"]),
    "fractions": lambda source: f"{source.randint(1, 9)}/{source.randint(2, 9)}",
    "sections": lambda source: (
        f"{source.randint(1, 9)}.{source.randint(1, 9)}.{source.randint(0, 9)}"
    ),
}


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
def test_codes_and_texts_stay_text(write):
    values = column(write)
    decision, texts = read(values)
    assert decision.format.kind == "text"
    assert texts.to_pylist() == values


def test_a_few_exponents_that_overflow_are_codes():
    values = some(column(lambda source: str(source.randint(10_000, 99_999))), 0.002, ["12345E678"])
    assert decide(values).format.kind == "text"


def test_a_huge_value_is_missing():
    for values in (column(plain), column(lambda source: str(source.randint(0, 99)))):
        decision, numbers = read([*values, "1e39"])
        assert decision.format.kind in ("number", "integer")
        assert numbers.null_count == 1
        assert [finding.code for finding in decision.findings] == ["huge-values"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["true", "False", "TRUE"], [1, 0, 1]),
        (["true", "0", "1", "false"], [1, 0, 1, 0]),
        (["Yes", "yes", "no", "NO "], [1, 1, 0, 0]),
        (["T", "true", "F", "?"], [1, 1, 0, None]),
    ],
)
def test_booleans(values, expected):
    decision, truth = read(values * 30)
    assert decision.format.kind == "boolean"
    assert truth.to_pylist() == expected * 30


@pytest.mark.parametrize("values", [["yes", "no"], ["y", "n", "x"], ["on", "standby", "off"]])
def test_categories_are_no_booleans(values):
    assert decide(values * 30).format.kind == "text"


def test_labels_are_merged_and_their_markers_missing():
    values = ["yes", "yes ", "Yes", "no ", "NO", "no"] * 100
    decision, labels = read([*values, "?", "NA", "unknown"], is_label=True)
    assert set(labels.to_pylist()) == {"yes", "no", None}
    assert labels.null_count == 3
    codes = [finding.code for finding in decision.findings]
    assert codes == ["missing-labels", "trimmed", "case-variants"]


def test_a_marker_in_many_rows_is_a_class():
    _, labels = read(["+", "-", "-"] * 100, is_label=True)
    assert set(labels.to_pylist()) == {"+", "-"}
    _, labels = read(["married", "single", "unknown"] * 100, is_label=True)
    assert set(labels.to_pylist()) == {"married", "single", "unknown"}


def test_categories_are_trimmed_and_variants_named():
    decision, cities = read(["Paris", " Paris", "PARIS", "New  York", "New York"] * 100)
    assert set(cities.to_pylist()) == {"Paris", "PARIS", "New  York", "New York"}
    notes = {finding.code: finding for finding in decision.findings}
    assert "100 values with blanks around" in notes["trimmed"].message
    assert notes["case-variants"].severity == "warning"
    assert "'Paris' (200), 'PARIS' (100)" in notes["case-variants"].message


WRITERS = [
    *(write for write, _ in NUMBERS.values()),
    *TEXTS.values(),
    lambda source: str(source.randint(0, 99)),
    lambda source: source.choice(["true", "no", "1"]),
    lambda source: source.choice(["", "NA", "?", "inf", "1e39", "-9.5", "1e5", "x y", " 7"]),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(range(len(WRITERS))), min_size=1, max_size=3),
    st.lists(st.integers(0, 120), max_size=5),
    st.integers(0, 9),
)
def test_a_decision_does_not_depend_on_the_cuts(writers, cuts, seed):
    source = random.Random(seed)
    values = [WRITERS[source.choice(writers)](source) for _ in range(120)]
    assert decide(values, cuts) == decide(values)
    shuffled = source.sample(values, len(values))
    assert decide(shuffled, cuts) == decide(values)


def test_a_label_in_several_spellings_of_true_and_false():
    decision, labels = read(["yes", "y", "No", "n"] * 100, is_label=True)
    assert decision.format.kind == "boolean"
    assert labels.to_pylist() == [1, 1, 0, 0] * 100


def test_groups_as_in_india():
    decision, numbers = read(["12,34,567.50", "1,234", "99"] * 50)
    assert decision.format.number == NumberFormat(thousands=",")
    assert numbers.to_pylist()[:3] == [1234567.5, 1234.0, 99.0]


def test_prices_typed_by_hand_are_numbers():
    assert decide(["2.5", "2.50", "1.25", "3.10"] * 50).format.kind == "number"


def test_a_derived_column_takes_no_name_of_another():
    decision = decide([*column(plain), "<0.5"], taken={"x_limit"})
    assert list(decision.derived) == ["x_limit_"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10.086 €", "999 €", "1.210 €"], [10086, 999, 1210]),
        (["10.086 €", "1.210 €"], [10086, 1210]),
        (["1.210 km", "85 km"], [1210, 85]),
        (["1.210 km", "1.085 km"], [1.21, 1.085]),
        (["$1.50", "$1.234"], [1.5, 1.234]),
        (["0.512", "1.024"], [0.512, 1.024]),
        (["1.024", "2.048"], [1.024, 2.048]),
        (["1.024", "2048"], [1.024, 2048.0]),
    ],
)
def test_a_point_that_may_separate_thousands(values, expected):
    _, numbers = read(values * 30)
    assert numbers.to_pylist() == expected * 30
