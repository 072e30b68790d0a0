"""Free text, text with parts, identifiers and categories are told apart by their values."""

import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.kind_choice import choose_kind
from kfp_tabular.components.feature_engineering.features.schema_columns import SchemaColumn
from kfp_tabular.components.feature_engineering.features.text_kind import examine
from tests.tickets import tickets

RANDOM = np.random.default_rng(4)
ROWS = 400
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
FIRST = ["anna", "ben", "carla", "dmitri", "emeka", "fatima", "goran", "hiro", "ines", "jonas"]
LAST = ["smith", "jones", "li", "garcia", "okafor", "novak", "rossi", "weber", "silva", "tanaka"]
REVIEWS = "很好 不错 太差 价格 便宜 质量 物流 很快 包装 破损 推荐 退货".split()  # noqa: SIM905
SENTENCES = (
    "der Drucker im Flur druckt nicht mehr",
    "le clavier est cassé depuis lundi",
    "интернет снова не работает",
    "η οθόνη έχει γραμμές",
    "الشاشة مكسورة منذ الأمس",
)


def pick(choices, count=1, between=" "):
    return between.join(str(one) for one in RANDOM.choice(choices, count))


KINDS = {
    "prose": {
        "ticket": lambda row: TICKETS["body"][row],
        "subject": lambda row: TICKETS["subject"][row],
        "name": lambda row: f"{pick(FIRST).title()} {pick(LAST).title()} {pick(LAST).title()}",
        "several languages": lambda row: f"{pick(SENTENCES)} {pick(SENTENCES)} {row}",
        "chinese": lambda row: pick(REVIEWS, 6, ""),
        "address": lambda row: f"{row} {pick(LAST).title()} {pick(['Street', 'Road', 'Lane'])}",
    },
    "parts": {
        "product code": lambda row: f"{pick(['AB', 'QZ', 'KX'])}-{RANDOM.integers(1e4)}-X",
        "url": lambda row: f"https://{pick(LAST)}.org/{pick(FIRST)}/{row}",
        "e-mail": lambda row: f"{pick(FIRST)}.{pick(LAST)}{row}@{pick(LAST)}.com",
    },
    "unique": {
        "uuid": lambda row: str(uuid.UUID(int=int(RANDOM.integers(2**62)) << 64 | row)),
        "hash": lambda row: RANDOM.bytes(10).hex(),
        "numbered": lambda row: f"driver {row}",
        "sentence with a number": lambda row: f"Order number {row} from the shop",
        "token": lambda row: pick(LETTERS, 12, ""),
        "key": lambda row: pick([*LETTERS, *map(str, range(10))], 10, ""),
        "address of a host": lambda row: ".".join(map(str, RANDOM.integers(0, 256, 4))),
        "phone": lambda row: f"+49 30 {RANDOM.integers(10**6, 10**7)}",
        "licence plate": lambda row: f"{pick(LETTERS, 2, '')} {row:04} {pick(LETTERS, 2, '')}",
    },
}
TICKETS = tickets(ROWS)


@pytest.mark.parametrize(
    ("kind", "what"), [(kind, what) for kind, examples in KINDS.items() for what in examples]
)
def test_kinds_of_text(kind, what):
    assert examine([KINDS[kind][what](row) for row in range(ROWS)]).kind == kind


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(["ticket", "several languages", "chinese"]),
    odd=st.lists(st.sampled_from(["?", "n/a", "x", "12345", "-", "ok"]), max_size=80),
    order=st.randoms(use_true_random=False),
)
def test_some_odd_values_do_not_decide(kind, odd, order):
    values = [KINDS["prose"][kind](row) for row in range(ROWS)] + odd
    order.shuffle(values)
    assert examine(values).kind == "prose"


def facts(values):
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return ColumnFacts(len(values), 0, len(counts), counts, texts=(*values,), spread=(*values,))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (TICKETS["body"], "text"),
        (TICKETS["body"][:60], "text"),
        (TICKETS["body"][:20] * 20, "categorical"),
        # Long texts say more than a category, however often each occurs.
        ([f"{KINDS['prose']['ticket'](row % ROWS)} {row % 1100}" for row in range(8800)], "text"),
        (
            [f"{FIRST[row % 10]} {LAST[row % 11 % 10]} of {row % 1100}" for row in range(8800)],
            "categorical",
        ),
        ([f"Some college, level {row % 9}" for row in range(ROWS)], "categorical"),
        ([KINDS["parts"]["product code"](row) for row in range(ROWS)], "text"),
        ([KINDS["unique"]["uuid"](row) for row in range(ROWS)], "drop"),
    ],
)
def test_the_kind_depends_on_how_many_values_there_are(values, kind):
    column = SchemaColumn(RawFeature("note", "string", required=True))
    assert choose_kind(column, facts(values))[0] == kind


def test_a_column_called_an_identifier_is_one():
    values = [KINDS["parts"]["product code"](row) for row in range(ROWS)]
    column = SchemaColumn(RawFeature("customer_id", "string", required=True))
    assert choose_kind(column, facts(values))[0] == "drop"
