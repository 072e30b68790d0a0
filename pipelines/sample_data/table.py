"""The sample data as an Arrow table."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines.sample_data import labels
from kfp_tabular.pipelines.sample_data.draws import Booleans, Draws, Integers
from kfp_tabular.pipelines.sample_data.merchants import CATEGORIES, Merchants, merchants
from kfp_tabular.pipelines.sample_data.transactions import (
    COUNTRIES,
    DEVICES,
    ENTRY_MODES,
    Transactions,
    draw,
)

MINIMUM_ROWS = 100

_PROMOTIONS = ("WELCOME10", "SUMMER", "LOYALTY", "FRIEND")


def generate(rows: int, seed: int, task: TaskKind = "binary") -> pa.Table:
    """Make card transactions with a label.

    The same arguments give the same table on every machine.

    Args:
        rows: The number of rows, at least `MINIMUM_ROWS`.
        seed: Any integer from 0.
        task: The label, which is the last column: for `binary` `is_fraud` (0 or 1; 2% are 1), for
            `multiclass` `purpose` (text, four classes), for `regression` `settlement_hours` (a
            positive float).

    Returns:
        A table in order of time. `transaction_id` and `card_id` are text, `timestamp` is ISO 8601
        text in UTC, `amount` is in euro, `distance_from_home_km` in kilometres. Missing are:
        `customer_age` (4%), `distance_from_home_km` (3%), `device` (1%),
        `days_since_last_transaction` (for a card's first) and `promotion_code` (96%).

    Raises:
        UserError: For too few rows, a negative seed or an unknown task.

    Example:
        >>> table = generate(100, seed=7)
        >>> table.num_rows, table.column_names[-1]
        (100, 'is_fraud')
    """
    if rows < MINIMUM_ROWS:
        raise UserError(
            f"rows: {rows} are too few to split and learn from; ask for {MINIMUM_ROWS} or more."
        )
    if seed < 0:
        raise UserError(f"seed: {seed} is negative; give an integer from 0.")
    if task not in labels.LABELS:
        raise UserError(
            f"task: {task!r} is not one of {', '.join(labels.LABELS)}."
            f"{closest(task, labels.LABELS)}"
        )
    draws = Draws(seed)
    catalog = merchants()
    transactions = draw(rows, catalog, draws)
    columns = _columns(transactions, catalog, draws)
    # Last, so that all three tasks have the same features for the same seed.
    columns[labels.LABELS[task]] = labels.draw(task, transactions, draws)
    return pa.table(columns)


def _columns(data: Transactions, catalog: Merchants, draws: Draws) -> dict[str, pa.Array]:
    rows = len(data.card)
    promoted = draws.happens(0.04, rows)
    promotion = draws.choice(np.ones(len(_PROMOTIONS)), rows)
    return {
        "transaction_id": _identifiers("T", np.arange(1, rows + 1), 10),
        "card_id": _identifiers("C", data.card + 1, 7),
        "timestamp": _iso(data.seconds),
        "amount": pa.array(data.amount),
        "merchant": _named(catalog.names, data.merchant),
        "merchant_category": _named([kind.name for kind in CATEGORIES], data.category),
        "country": _named(COUNTRIES, data.country),
        "card_country": _named(COUNTRIES, data.home_country),
        "entry_mode": _named(ENTRY_MODES, data.entry_mode),
        "device": _named(DEVICES, data.device, missing=draws.happens(0.01, rows)),
        "new_device": pa.array(data.new_device),
        "customer_age": pa.array(data.age, mask=draws.happens(0.04, rows)),
        "distance_from_home_km": pa.array(data.distance, mask=draws.happens(0.03, rows)),
        "days_since_last_transaction": pa.array(
            data.days_since_last, mask=np.isnan(data.days_since_last)
        ),
        "transactions_last_day": pa.array(data.last_day),
        "is_weekend": pa.array(data.weekend.astype(np.int64)),
        "promotion_code": _named(_PROMOTIONS, promotion, missing=~promoted),
    }


def _named(names: Sequence[str], index: Integers, missing: Booleans | None = None) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(index, mask=missing))


def _identifiers(prefix: str, numbers: Integers, digits: int) -> pa.Array:
    text = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=digits, padding="0")
    return pc.binary_join_element_wise(prefix, text, "")


def _iso(seconds: Integers) -> pa.Array:
    text = pa.array(seconds, pa.timestamp("s")).cast(pa.string())
    return pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")
