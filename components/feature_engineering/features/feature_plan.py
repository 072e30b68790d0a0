"""Plans the features of all columns from the schema, the configuration and the facts.

Pure: the same inputs give the same plan. `graph.preprocessing_graph` turns a plan into TensorFlow.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.feature_engineering.features import (
    feature_builders,
    feature_config,
    text_features,
    text_kind,
)
from kfp_tabular.components.feature_engineering.features.bag_facts import BagColumn, BagFacts
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.feature_builders import (
    FeatureEvidence,
    OutputNames,
)
from kfp_tabular.components.feature_engineering.features.feature_config import FeatureOptions
from kfp_tabular.components.feature_engineering.features.kind_choice import (
    IDENTIFIER,
    choose_kind,
)
from kfp_tabular.components.feature_engineering.features.planned_features import (
    DroppedColumn,
    FeaturePlan,
    PlannedFeature,
    Presence,
    TransformedColumn,
)
from kfp_tabular.components.feature_engineering.features.schema_columns import SchemaColumn
from kfp_tabular.components.feature_engineering.features.text_features import TextColumn, TextFacts

_PRESENCE = 0.001


def derive(
    columns: Iterable[SchemaColumn],
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
    *,
    label: str,
    dropped: Iterable[DroppedColumn] = (),
    bags: Mapping[str, BagFacts] | None = None,
    texts: Mapping[str, TextFacts] | None = None,
) -> FeaturePlan:
    """Plan the features of all columns.

    Args:
        columns: The candidates, without the label and the excluded columns.
        facts: What the train split shows, by column.
        options: What the configuration says, by column.
        label: The label; no transformed column gets its name.
        dropped: Columns that are already left out.
        bags: What the bags of each of `bag_columns` hold.
        texts: How often n-grams occur in each of `text_columns`.

    Raises:
        UserError: The configuration asks for a kind or an option that a column cannot have.

    Example:
        >>> from kfp_tabular.components.common.artifacts.raw_features import RawFeature
        >>> zone = SchemaColumn(RawFeature("zone", "string", required=True))
        >>> facts = ColumnFacts(rows=90, missing=0, distinct=2, counts={"north": 60, "south": 30})
        >>> plan = derive([zone], {"zone": facts}, {}, label="tip")
        >>> plan.features[0].vocabulary, plan.outputs[0].size
        (('north', 'south'), 3)
    """
    kept: list[PlannedFeature] = []
    out = list(dropped)
    columns = list(columns)
    # A derived name must differ from every column's own name.
    names = OutputNames([label, *(column.feature.name for column in columns)])
    for column in columns:
        name = column.feature.name
        configured = options.get(name, FeatureOptions())
        if configured.kind == "drop":  # no facts were collected
            out.append(DroppedColumn(name, "configured"))
            continue
        known = (bags or {}).get(name), (texts or {}).get(name)
        feature = _derive(column, facts[name], configured, names, *known)
        if isinstance(feature, DroppedColumn):
            out.append(feature)
        else:
            kept.append(feature)
    return FeaturePlan(tuple(kept), tuple(out))


def time_columns(
    columns: Iterable[SchemaColumn],
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
) -> tuple[dict[str, TimeFormat], dict[str, str]]:
    """Return how the times of each timestamp are written, and the columns that ages refer to.

    Args:
        columns: The candidates, as for `derive`.
        facts: What the train split shows, by column.
        options: What the configuration says, by column.

    Raises:
        UserError: A column is no timestamp although the configuration says so.
    """
    times: dict[str, TimeFormat] = {}
    references: dict[str, str] = {}
    for column in columns:
        name = column.feature.name
        configured = options.get(name, FeatureOptions())
        found = facts.get(name)
        if found is None or not found.present:
            continue
        if found.counts is not None and found.distinct == 1:
            continue
        if (configured.kind or choose_kind(column, found)[0]) != "timestamp":
            continue
        times[name] = feature_builders.time_format_of(column, configured.options, found.texts)
        if "reference" in configured.options:
            references[name] = configured.options["reference"]
    for name, reference in references.items():
        if reference not in times:
            raise UserError(
                f"feature_config: {name!r}: reference: {reference!r} is not a column of times."
                + closest(reference, times)
            )
    return times, references


def bag_columns(
    columns: Iterable[SchemaColumn],
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
) -> list[BagColumn]:
    """Return the columns of bags that `derive` has to know more about, in its arguments.

    Raises:
        UserError: A column is configured as bags and is not text.
    """
    found = []
    for column in columns:
        name = column.feature.name
        configured = options.get(name, FeatureOptions())
        if name not in facts or not facts[name].present:
            continue
        if (configured.kind or ("bag" if column.is_bag else "")) != "bag":
            continue
        if column.feature.dtype != "string":
            raise UserError(
                f"feature_config: {name!r} is a number per row and cannot be bags. Read it as text "
                "with ingest_data's column_types, or choose categorical."
            )
        separator = configured.options.get("separator", "" if column.is_bag else ",")
        found.append(BagColumn(name, separator))
    return found


def text_columns(
    columns: Iterable[SchemaColumn],
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
) -> list[TextColumn]:
    """Return the columns whose n-grams `derive` has to know, in the arguments of `derive`.

    Raises:
        UserError: A column is configured as text and is none.
    """
    found = []
    for column in columns:
        name, configured = column.feature.name, options.get(column.feature.name, FeatureOptions())
        if configured.kind not in (None, "text") or _is_empty_or_constant(facts[name]):
            continue
        if column.feature.dtype != "string":
            if configured.kind == "text":
                raise UserError(
                    f"feature_config: {name!r} is a number and cannot be text. Choose hash or "
                    "categorical, or read it as text with ingest_data's column_types."
                )
            continue
        if (configured.kind or choose_kind(column, facts[name])[0]) == "text":
            is_prose = text_kind.examine(facts[name].spread).kind != "parts"
            checked = feature_config.checked(name, "text", configured.options)
            found.append(text_features.text_column(name, checked, is_prose=is_prose))
    return found


def _is_empty_or_constant(facts: ColumnFacts) -> bool:
    return not facts.present or (facts.counts is not None and facts.distinct == 1)


def _derive(
    column: SchemaColumn,
    facts: ColumnFacts,
    options: FeatureOptions,
    names: OutputNames,
    bag: BagFacts | None,
    text: TextFacts | None,
) -> PlannedFeature | DroppedColumn:
    name = column.feature.name
    if not facts.present:
        return DroppedColumn(name, "no value in the train split", "no-value")
    if facts.counts is not None and facts.distinct == 1 and options.kind != "presence":
        return _constant(column, facts, names)
    kind, why = choose_kind(column, facts) if options.kind is None else (options.kind, "configured")
    if kind == "drop":
        code = "identifier" if why.startswith(IDENTIFIER) else "no-pattern"
        return DroppedColumn(name, why, code, "hash" if _is_text(column) else "numeric")
    configured = feature_config.checked(name, kind, options.options)
    evidence = FeatureEvidence(column, facts, configured, why, names, bag, text)
    return feature_builders.build(kind, evidence)


def _is_text(column: SchemaColumn) -> bool:
    return column.feature.dtype == "string"


def _constant(
    column: SchemaColumn, facts: ColumnFacts, names: OutputNames
) -> PlannedFeature | DroppedColumn:
    name = column.feature.name
    (value,) = facts.counts or {None: 0}
    share = facts.missing / facts.rows
    if min(share, 1 - share) < _PRESENCE:
        missing = f" or missing ({facts.missing} of {facts.rows} rows)" if facts.missing else ""
        return DroppedColumn(name, f"constant: always {_short(value)}{missing}", "constant")
    why = f"one value only, {_short(value)}, in {1 - share:.1%} of the rows"
    return Presence(column.feature, why, TransformedColumn(names.derived(name, "missing")))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
