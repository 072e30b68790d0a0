"""The check of a request's values against the schema of the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.prediction.domain_rules import DomainRule
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.settings.server_settings import ValuePolicies

if TYPE_CHECKING:
    import numpy as np

CountOutside = Callable[[str, int], None]
"""Called with a feature's name and the number of a request's rows with a value outside."""


def check_domains(
    arrays: Mapping[str, "np.ndarray[Any, Any]"],
    rules: Sequence[DomainRule],
    policies: ValuePolicies,
    count_outside: CountOutside,
) -> None:
    """Check a request's values against the schema.

    Args:
        arrays: The request's values, by the signature's inputs.
        rules: The model's rules.
        policies: What to do with values outside.
        count_outside: Called for each feature with values outside, whether rejected or not.

    Raises:
        RequestError: For the first feature with a value to reject; it names the first such row.

    Example:
        >>> import numpy as np
        >>> rule = DomainRule("hour", "hour", "range", low=0, high=23)
        >>> arrays = {"hour": np.array([7, 24])}
        >>> check_domains(arrays, [rule], ValuePolicies(out_of_range="count"), print)
        hour 1
        >>> check_domains(arrays, [rule], ValuePolicies(), lambda feature, rows: None)
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: instance 1: feature 'hour':
        expected a number from 0 to 23.
    """
    for rule in rules:
        rows = rule.rows_outside(arrays[rule.input])
        if not rows:
            continue
        count_outside(rule.feature, len(rows))
        policy = policies.unseen_values if rule.violation == "domain" else policies.out_of_range
        if policy == "reject":
            raise RequestError(
                f"instance {rows[0]}: feature {rule.feature!r}: expected {rule.expectation()}.",
                reason=rule.violation,
                feature=rule.feature,
                row=rows[0],
            )
