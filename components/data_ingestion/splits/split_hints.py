"""Says how the rows were split, and what may be wrong with it."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.common.values.column_names import suggests_identifier
from kfp_tabular.components.common.values.identifiers import FEWEST_ENTITIES
from kfp_tabular.components.data_ingestion.options import BY_HASH, BY_ROW, SplitOptions
from kfp_tabular.components.data_ingestion.splits.chosen_split import ChosenSplit
from kfp_tabular.components.data_ingestion.splits.key_choice import described
from kfp_tabular.components.data_ingestion.splits.split_evidence import ColumnEvidence, Kinds
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting

_FEWEST_TIMES = 20  # Rows of the same time stay together, so splits of fewer miss their shares.
_MOST_NAMED = 6


def record(options: SplitOptions, splitting: Splitting) -> dict[str, Any]:
    """Return how the rows were split, for the lineage of the examples.

    Args:
        options: The options.
        splitting: What split the rows.
    """
    found = {
        "method": options.split_method,
        "fractions": dict(options.split_fractions),
        "column": options.split_column,
        "keys": list(options.split_keys),
        "salt": options.split_salt,
        "time_format": options.split_time_format,
    }
    if isinstance(splitting, ChosenSplit) and splitting.choice:
        by_row = splitting.choice.by_row
        found["method"] = BY_ROW if by_row else BY_HASH
        found["keys"] = list(splitting.columns if by_row else splitting.choice.keys)
    return found


def add_findings(
    found: Findings,
    splitting: Splitting,
    recorded: Mapping[str, Any],
    formats: Mapping[str, ColumnFormat],
) -> None:
    """Add what a person should know about a split whose columns were chosen.

    Args:
        found: Where to add it.
        splitting: What split the rows.
        recorded: What `record` returned.
        formats: How the columns were read.
    """
    if not isinstance(splitting, ChosenSplit) or splitting.choice is None:
        return
    evidence = splitting.evidence
    if evidence is None:
        return
    left_out = [name for name in evidence.columns if name not in splitting.choice.keys]
    _say_keys(found, evidence.kinds, recorded, left_out, splitting.names)
    for name, shown in evidence.columns.items():
        if name in formats and formats[name].kind == "time":
            continue  # A moment that repeats is no entity, such as the day of several sales.
        if name in left_out and shown.identifies(name) == "entity":
            add = found.warning if suggests_identifier(name) else found.note
            _hint_at_entity(add, name, shown)
        elif name not in left_out and suggests_identifier(name) and _repeats(shown):
            # With so many rows each that it is a feature, as a card with forty payments.
            _hint_at_entity(found.note, name, shown)
    _hint_at_time(found, evidence.columns, formats)


def _say_keys(
    found: Findings,
    kinds: Kinds,
    recorded: Mapping[str, Any],
    left_out: Sequence[str],
    names: Sequence[str],
) -> None:
    line = f"split_keys={json.dumps(recorded['keys'], ensure_ascii=False)}"
    amount = described(kinds)
    but = f" but {_named(left_out)}" if left_out else ""
    if recorded["method"] == BY_ROW:
        found.note(
            "split-by-row",
            f"Only {amount} kinds of row among {kinds.rows:,}: too few to keep equal rows "
            f"together, so the {len(names)} splits share them. Give both options to keep each row "
            "in its split as columns are added.",
            option=f"split_method=row, {line}",
        )
        return
    found.note(
        "split-keys",
        f"Rows that are equal in all features{but} stay in one split: {amount} distinct of "
        f"{kinds.rows:,}. Give split_keys to keep each row in its split as columns are added.",
        option=line,
    )


def _repeats(shown: ColumnEvidence) -> bool:
    sample = shown.sample
    return (
        sample is not None
        and sample.distinct >= FEWEST_ENTITIES
        and sample.rows >= 2 * sample.distinct
    )


def _hint_at_entity(add: Callable[..., None], name: str, shown: ColumnEvidence) -> None:
    sample = shown.sample
    if sample is None or not sample.distinct:
        return
    add(
        "entity",
        f"{name!r} looks like an entity with several rows, such as a customer: "
        f"{sample.distinct:,} values with {sample.rows / sample.distinct:.1f} rows each. The rows "
        "of one value are in several splits, so the evaluation may be too good.",
        column=name,
        option=f"split_keys={json.dumps([name])}",
    )


def _hint_at_time(
    found: Findings, columns: Mapping[str, ColumnEvidence], formats: Mapping[str, ColumnFormat]
) -> None:
    times = [
        name
        for name, shown in columns.items()
        if name in formats
        and formats[name].kind == "time"
        and shown.sample is not None
        and shown.sample.distinct >= _FEWEST_TIMES
    ]
    if len(times) == 1:
        found.note(
            "time-column",
            f"{times[0]!r} is a time. If the model will predict later rows, a split by time is the "
            "honest test.",
            column=times[0],
            option=f"split_method=time, split_column={times[0]}",
        )


def _named(names: Collection[str]) -> str:
    shown: Iterable[str] = list(names)[:_MOST_NAMED]
    more = len(names) - _MOST_NAMED
    text = ", ".join(repr(name) for name in shown)
    return text if more <= 0 else f"{text} and {more} more identifiers"
