"""The part of CatBoost's JSON model that predictions need, as typed values."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

_UNSUPPORTED = ("text_features", "embedding_features", "estimated_features")
_TREAT_AS_LARGEST = "AsTrue"
_NO_HASH = 2**64 - 1


@dataclass(frozen=True)
class NumericCondition:
    """True where a numeric feature is above a border.

    Attributes:
        feature: Index among the pool's numeric features.
        border: A float32 value.
    """

    feature: int
    border: float


@dataclass(frozen=True)
class CategoryCondition:
    """True where a categorical feature has one value.

    Attributes:
        feature: Index among the pool's categorical features.
        category: The category's hash, a signed 32-bit number.
    """

    feature: int
    category: int


@dataclass(frozen=True)
class StatisticCondition:
    """True where a target statistic is above a border.

    Attributes:
        statistic: Index into the document's statistics.
        border: A float32 value.
    """

    statistic: int
    border: float


Condition = NumericCondition | CategoryCondition | StatisticCondition


@dataclass(frozen=True)
class Statistic:
    """A target statistic: `((n + prior) / (N + denominator) + shift) * scale`.

    Attributes:
        kind: CatBoost's name for it: `Borders`, `Buckets`, `Counter`, ...
        table: Key of the table that holds its counts.
        categories: The categorical features combined, as indices among the pool's.
        conditions: Conditions combined with them.
        target_border: Which border or class of the target counts.
        prior: Numerator of the prior.
        prior_denominator: Its denominator.
        shift: Added to the ratio.
        scale: Multiplies the sum.
    """

    kind: str
    table: str
    categories: tuple[int, ...]
    conditions: tuple[NumericCondition | CategoryCondition, ...]
    target_border: int
    prior: float
    prior_denominator: float
    shift: float
    scale: float


@dataclass(frozen=True)
class StatisticTable:
    """Counts by hash of a category, or of a combination.

    Attributes:
        hashes: uint64, shape `[entries]`, ascending.
        counts: Shape `[entries, columns]`: by class, or sum and count, or one count.
        denominator: Divides the count of `Counter` and `FeatureFreq`.
    """

    hashes: "np.ndarray[Any, np.dtype[np.uint64]]"
    counts: Floats
    denominator: int


@dataclass(frozen=True)
class Tree:
    """A symmetric tree.

    Attributes:
        conditions: Bit i of a row's leaf is 1 where condition i is true.
        leaves: Shape `[2 ** len(conditions), units]`.
    """

    conditions: tuple[Condition, ...]
    leaves: Floats


@dataclass(frozen=True)
class CatBoostDocument:
    """A trained model of symmetric trees.

    Attributes:
        trees: The trees, whose sum, times `scale`, plus `bias` is the raw prediction.
        missing_is_largest: The numeric features whose missing values are above every border; those
            of the others are below.
        statistics: The target statistics.
        tables: Their counts.
        scale: Multiplies the sum.
        bias: One number per unit.
    """

    trees: tuple[Tree, ...]
    missing_is_largest: frozenset[int]
    statistics: tuple[Statistic, ...]
    tables: Mapping[str, StatisticTable]
    scale: float
    bias: tuple[float, ...]


def read(model: Any) -> CatBoostDocument:
    """Return the document of a trained `catboost.CatBoost`.

    Raises:
        ValueError: If the model has trees that are not symmetric, features of text or embeddings,
            or a border at infinity.
    """
    # JSON has no infinity, and CatBoost fails to write one.
    if not all(np.isfinite(borders).all() for borders in model.get_borders().values()):
        raise ValueError(
            "cannot export a CatBoost model that was trained on infinite numbers: clip them"
        )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.json")
        model.save_model(str(path), format="json")
        return parse(json.loads(path.read_bytes()))


def parse(document: Mapping[str, Any]) -> CatBoostDocument:
    """Return the typed content of CatBoost's JSON.

    Raises:
        ValueError: If the trees are not symmetric, or have features of text or embeddings.
    """
    features = document["features_info"]
    found = [name for name in _UNSUPPORTED if features.get(name)]
    if found:
        raise ValueError(f"cannot export {found[0]} of a CatBoost model to TensorFlow")
    if "oblivious_trees" not in document:
        raise ValueError("cannot export this CatBoost model: train it with SymmetricTree")
    scale, bias = document["scale_and_bias"]
    conditions = _conditions(features)
    return CatBoostDocument(
        trees=tuple(
            _tree(tree, conditions, len(bias)) for tree in document["oblivious_trees"] or ()
        ),
        missing_is_largest=frozenset(
            feature["feature_index"]
            for feature in features.get("float_features") or ()
            if feature["nan_value_treatment"] == _TREAT_AS_LARGEST
        ),
        statistics=tuple(_statistic(statistic) for statistic in features.get("ctrs") or ()),
        tables={key: _table(table) for key, table in (document.get("ctr_data") or {}).items()},
        scale=float(scale),
        bias=tuple(float(value) for value in bias),
    )


def _conditions(features: Mapping[str, Any]) -> list[Condition]:
    """Return all conditions in the order in which splits refer to them."""
    numeric = [
        NumericCondition(feature["feature_index"], border)
        for feature in features.get("float_features") or ()
        for border in feature.get("borders") or ()
    ]
    categories = [
        CategoryCondition(feature["feature_index"], value)
        for feature in features.get("categorical_features") or ()
        for value in feature.get("values") or ()
    ]
    statistics = [
        StatisticCondition(index, border)
        for index, statistic in enumerate(features.get("ctrs") or ())
        for border in statistic["borders"]
    ]
    return [*numeric, *categories, *statistics]


def _tree(tree: Mapping[str, Any], conditions: list[Condition], units: int) -> Tree:
    splits = tree.get("splits") or ()
    return Tree(
        conditions=tuple(conditions[split["split_index"]] for split in splits),
        leaves=np.array(tree["leaf_values"], np.float64).reshape(-1, units),
    )


def _statistic(statistic: Mapping[str, Any]) -> Statistic:
    categories: list[int] = []
    conditions: list[NumericCondition | CategoryCondition] = []
    for element in statistic["elements"]:
        match element["combination_element"]:
            case "cat_feature_value":
                categories.append(element["cat_feature_index"])
            case "float_feature":
                conditions.append(
                    NumericCondition(element["float_feature_index"], element["border"])
                )
            case "cat_feature_exact_value":
                conditions.append(CategoryCondition(element["cat_feature_index"], element["value"]))
            case other:
                raise ValueError(f"cannot export a target statistic of {other!r}")
    return Statistic(
        kind=statistic["ctr_type"],
        table=statistic["identifier"],
        categories=tuple(categories),
        conditions=tuple(conditions),
        target_border=statistic["target_border_idx"],
        prior=statistic["prior_numerator"],
        # CatBoost's spelling.
        prior_denominator=statistic["prior_denomerator"],
        shift=statistic["shift"],
        scale=statistic["scale"],
    )


def _table(table: Mapping[str, Any]) -> StatisticTable:
    stride = table["hash_stride"]
    cells = table["hash_map"]
    hashes = np.array([int(text) for text in cells[::stride]], np.uint64)
    columns = [np.array(cells[column::stride], np.float64) for column in range(1, stride)]
    used = np.flatnonzero(hashes != _NO_HASH)
    order = used[np.argsort(hashes[used])]
    return StatisticTable(
        hashes=hashes[order],
        counts=np.stack(columns, axis=1)[order],
        denominator=table["counter_denominator"],
    )
