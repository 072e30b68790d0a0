"""Quantities are numbers, and sizes have units."""

import pytest

from kfp_tabular.components.common.pods.quantities import check_size, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("500m", 0.5), ("1.5", 1.5), ("2k", 2000), ("1Ki", 1024), ("4G", 4e9)],
)
def test_quantities_are_numbers(text: str, number: float) -> None:
    assert float(parse_quantity(text)) == number


@pytest.mark.parametrize("text", ["", "4GB", "512ki", "-1", "1e3", "Gi", "1.", "4 Gi"])
def test_what_kubernetes_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Kubernetes quantity|unknown unit"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["4", "512m", "1000", "0", "900Ki"])
def test_a_size_without_a_unit_is_a_few_bytes_and_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit, such as 512Mi"):
        check_size(text)
