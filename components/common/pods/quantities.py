"""Kubernetes quantities: cores, memory and storage."""

import re
from decimal import Decimal

_MEBIBYTE = 2**20
_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000**power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024**power) for power, unit in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kKMGTPE]i?)?")


def parse_quantity(text: str) -> Decimal:
    """Return a Kubernetes quantity as a number of cores or bytes.

    Args:
        text: Such as `500m`, `2`, `4G` or `512Mi`.

    Raises:
        ValueError: Where the text is not a quantity.

    Example:
        >>> parse_quantity("500m"), parse_quantity("4Gi")
        (Decimal('0.500'), Decimal('4294967296'))
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("expected a Kubernetes quantity, such as 500m, 2 or 4Gi")
    number, unit = match.group(1), match.group(2) or ""
    if unit not in _UNITS:
        raise ValueError(f"unknown unit {unit!r}; use m, k, M, G, T, P, E, or Ki, Mi, Gi, Ti")
    return Decimal(number) * _UNITS[unit]


def check_positive(value: str) -> None:
    """Check that a quantity is greater than 0.

    Raises:
        ValueError: Where it is not.

    Example:
        >>> check_positive("500m")
        >>> check_positive("0")
        Traceback (most recent call last):
        ...
        ValueError: expected more than 0
    """
    if parse_quantity(value) <= 0:
        raise ValueError("expected more than 0")


def check_size(value: str) -> None:
    """Check an amount of memory or storage, which needs a unit: Kubernetes reads `4` as 4 bytes.

    Raises:
        ValueError: Where it is less than 1 MiB.

    Example:
        >>> check_size("4Gi")
        >>> check_size("4")
        Traceback (most recent call last):
        ...
        ValueError: expected a size with its unit, such as 512Mi or 4Gi; without one it is bytes
    """
    if _QUANTITY.fullmatch(value) is None:
        raise ValueError("expected a size such as 512Mi, 4Gi or 4G")
    if parse_quantity(value) < _MEBIBYTE:
        raise ValueError(
            "expected a size with its unit, such as 512Mi or 4Gi; without one it is bytes"
        )
