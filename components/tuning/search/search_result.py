"""The result of a search, whichever backend ran it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import SearchSpace
from kfp_tabular.components.tuning.search.trials import Trial


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        trials: All trials, by number.
        best: The best of them.
        space: The space that was searched.
        objective: The objective by which trials were compared.
        algorithm: Name of the search algorithm.
        facts: More for the artifact's metadata, as JSON values.
        notes: More for the report, by label.
        libraries: Python distributions whose versions the result depends on.
    """

    trials: Sequence[Trial]
    best: Trial
    space: SearchSpace
    objective: Objective
    algorithm: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
