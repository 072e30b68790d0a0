"""What a search came to, wherever it ran."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import SearchSpace
from kfp_tabular.components.tuning.search.trials import Trial


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trials: All trials, by number.
        leader: The best of them.
        space: What was searched.
        objective: What trials were judged by.
        algorithm: How.
        facts: More to record in the lineage, JSON-able.
        notes: More to tell on the page, by what it is.
        libraries: Distributions that the result depends on.
    """

    trials: Sequence[Trial]
    leader: Trial
    space: SearchSpace
    objective: Objective
    algorithm: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
