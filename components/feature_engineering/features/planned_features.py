"""What becomes of a column: the kinds of features, each with its constants and outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.feature_engineering.features.bag_facts import Scale
from kfp_tabular.components.feature_engineering.features.column_facts import Moments
from kfp_tabular.components.feature_engineering.features.text_features import KeptNgrams, Ngrams


@dataclass(frozen=True)
class TransformedColumn:
    """A transformed column: a number, an id, or a vector of numbers.

    Attributes:
        name: The column's name.
        size: The number of ids, which start at 0; None for numbers.
        width: The length of a vector, the same in every row; None for one value per row.
        compact: Whether a vector is stored as float16, which keeps three digits of numbers up to
            65,504 in half the space.
        is_ordered: Whether a larger id means more, but for the last one, which is the missing
            value's.
    """

    name: str
    size: int | None = None
    width: int | None = None
    compact: bool = False
    is_ordered: bool = False

    @property
    def cells(self) -> int:
        """The number of values per row."""
        return self.width or 1


@dataclass(frozen=True)
class Numeric:
    """A number: z-score, quantile bucket and missing flag.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        moments: Mean and deviation, after the logarithm where `log` is set.
        log: Whether `log(1 + x)` is applied first.
        fill: The replacement of a missing value; its z-score is 0.
        boundaries: A value's bucket is the number of boundaries that are at most the value.
        value: The z-score.
        bucket: The bucket; its last id is that of a missing value if `flag` is set. None for no
            buckets.
        flag: 1 where the value is missing. None if the train split has no missing values, because
            nothing can be learned about them then.
    """

    feature: RawFeature
    why: str
    moments: Moments
    log: bool
    fill: float
    boundaries: tuple[float, ...]
    value: TransformedColumn
    bucket: TransformedColumn | None
    flag: TransformedColumn | None

    kind = "numeric"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        return [output for output in (self.value, self.bucket, self.flag) if output is not None]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        return {
            "mean": self.moments.mean,
            "standard_deviation": self.moments.deviation,
            "log": self.log,
            "buckets": len(self.boundaries) + 1 if self.bucket else 0,
        }


@dataclass(frozen=True)
class Categorical:
    """A category: its position in a vocabulary.

    Ids: the vocabulary, then `oov_buckets` for unknown values, then the missing value if
    `missing_id` is set. Otherwise a missing value counts as unknown.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        vocabulary: The values as text, most frequent first.
        left_out: The number of distinct values of the train split that it lacks.
        oov_buckets: The number of ids for unknown values.
        missing_id: Whether the missing value has an id of its own: if the train split has missing
            values.
        value: The id.
    """

    feature: RawFeature
    why: str
    vocabulary: tuple[str, ...]
    left_out: int
    oov_buckets: int
    missing_id: bool
    value: TransformedColumn

    kind = "categorical"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        return [self.value]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        return {
            "vocabulary": len(self.vocabulary),
            "left_out": self.left_out,
            "oov_buckets": self.oov_buckets,
            "missing_id": self.missing_id,
        }


@dataclass(frozen=True)
class Hashed:
    """A category with too many values for a vocabulary: a hash. The last id is the missing value's.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        buckets: The number of ids for values.
        value: The id.
    """

    feature: RawFeature
    why: str
    buckets: int
    value: TransformedColumn

    kind = "hash"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        return [self.value]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        return {"buckets": self.buckets}


@dataclass(frozen=True)
class Age:
    """How long before a reference a point in time lies, as a z-score of years.

    Attributes:
        reference: Seconds since 1970 UTC, or the name of another timestamp.
        low, high: The range of the train split, in years; values beyond it count as its ends,
            because a model cannot know how later years differ.
        mean: The mean of the train split.
        deviation: Its standard deviation.
        value: The z-score; 0 where a time is missing.
    """

    reference: int | str
    low: float
    high: float
    mean: float
    deviation: float
    value: TransformedColumn


@dataclass(frozen=True)
class Timestamp:
    """A point in time: calendar parts. The last id of each part is the missing value's.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        time: How it is written; its unit is one of `timestamp_formats.UNITS`.
        parts: The columns by part; the cycle of hours is `hour_sin` and `hour_cos`, and so on.
        age: How long ago it is.
        holidays: ISO dates, and months with days (`12-25`), of holidays.
        holiday: 1 on a holiday.
        flag: 1 where the value is missing. Only set beside numbers, which have no id for that.
    """

    feature: RawFeature
    why: str
    time: TimeFormat
    parts: tuple[tuple[str, TransformedColumn], ...]
    age: Age | None = None
    holidays: tuple[str, ...] = ()
    holiday: TransformedColumn | None = None
    flag: TransformedColumn | None = None

    kind = "timestamp"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        age = self.age.value if self.age else None
        others = (age, self.holiday, self.flag)
        return [output for _, output in self.parts] + [output for output in others if output]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        found: dict[str, Any] = {
            "format": self.time.unit or self.time.canonical,
            "spellings": list(self.time.formats),
            "parts": [part for part, _ in self.parts],
        }
        if self.age:
            found["age_before"] = self.age.reference
        if self.holidays:
            found["holidays"] = list(self.holidays)
        return found


@dataclass(frozen=True)
class Bag:
    """Any number of values per row: counts of items, the size, and statistics of numbers.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        separator: What separates items of plain text; empty for bags as ingestion writes them.
        vocabulary: The items that are counted, most frequent first. Others are counted together.
        scales: Mean and deviation of the size and the statistics.
        counts: A vector: a count for each item, and one for all others. None for no items.
        statistics: A vector: the size and the statistics.
        flag: 1 where the bag is missing. None if the train split has no missing one.
    """

    feature: RawFeature
    why: str
    separator: str
    vocabulary: tuple[str, ...]
    scales: Mapping[str, Scale]
    counts: TransformedColumn | None
    statistics: TransformedColumn
    flag: TransformedColumn | None

    kind = "bag"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        outputs = (self.counts, self.statistics, self.flag)
        return [output for output in outputs if output is not None]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        return {"items": len(self.vocabulary), "statistics": list(self.scales)}


@dataclass(frozen=True)
class Presence:
    """Whether the column has a value.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        flag: 1 where the value is missing.
    """

    feature: RawFeature
    why: str
    flag: TransformedColumn

    kind = "presence"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        return [self.flag]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        return {}


@dataclass(frozen=True)
class Text:
    """Text as vectors: TF-IDF weights of n-grams, and statistics such as the length.

    Attributes:
        feature: The raw feature.
        why: The reason for the kind.
        ngrams: Which n-grams are taken.
        kept: The n-grams with a column, for `words` and `characters` as far as there are any.
        means: The mean of each statistic.
        deviations: The standard deviation of each statistic.
        vectors: A transformed column for each of `kept`, and one for `statistics`.
        flag: 1 where the value is missing. None if the train split has no missing values.
    """

    feature: RawFeature
    why: str
    ngrams: Ngrams
    kept: Mapping[str, KeptNgrams]
    means: npt.NDArray[np.float32]
    deviations: npt.NDArray[np.float32]
    vectors: Mapping[str, TransformedColumn]
    flag: TransformedColumn | None

    kind = "text"

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns."""
        return [*self.vectors.values(), *([self.flag] if self.flag else [])]

    @property
    def settings(self) -> dict[str, Any]:
        """The constants to show in `features.json` and the summary."""
        widths: dict[str, Any] = {name: kept.width for name, kept in self.kept.items()}
        if "words" in self.kept:
            widths["ngrams"] = self.ngrams.words
        if "characters" in self.kept and self.ngrams.characters:
            widths["character_ngrams"] = list(self.ngrams.characters)
        return widths | {"length": self.ngrams.length}


@dataclass(frozen=True)
class Equality:
    """Whether two columns have the same value: 0 for different, 1 for the same.

    Attributes:
        first: A raw feature, which is also a feature of its own.
        second: Another one of the same type.
        why: The reason for the feature.
        missing_id: Whether 2 is the id of a row in which one of them is missing: if the train split
            has such rows. Otherwise such a row counts as different.
        value: The id.
    """

    first: RawFeature
    second: RawFeature
    why: str
    missing_id: bool
    value: TransformedColumn

    kind = "equality"


PlannedFeature = Numeric | Categorical | Hashed | Timestamp | Bag | Text | Presence


@dataclass(frozen=True)
class DroppedColumn:
    """A column that is left out of the features.

    Attributes:
        name: The column.
        why: The reason.
        code: The code of the finding that reports it; empty where the user asked for it.
        instead: The kind with which `feature_config` would keep it; empty for none.
    """

    name: str
    why: str
    code: str = ""
    instead: str = ""


@dataclass(frozen=True)
class FeaturePlan:
    """What becomes of every column.

    Attributes:
        features: The features of single columns, in the schema's order.
        dropped: The columns left out.
        equalities: The features of pairs of columns.
        unpaired: Pairs of columns that could have such a feature, beyond the most that are made.
    """

    features: tuple[PlannedFeature, ...]
    dropped: tuple[DroppedColumn, ...]
    equalities: tuple[Equality, ...] = ()
    unpaired: tuple[tuple[str, str], ...] = ()

    @property
    def outputs(self) -> list[TransformedColumn]:
        """The transformed columns of all features."""
        outputs = [output for feature in self.features for output in feature.outputs]
        return outputs + [equality.value for equality in self.equalities]
