"""Values of settings as text: each function here reads one kind.

The readers raise `ValueError` with what was expected, which becomes part of an error message.
"""

import math
import re
from collections.abc import Callable


def text(value: str) -> str:
    """Return the text itself.

    Example:
        >>> text("/srv/models/taxi")
        '/srv/models/taxi'
    """
    return value


def yes_or_no(value: str) -> bool:
    """Return the truth value of true, 1, yes, false, 0 or no, in upper or lower case.

    Example:
        >>> yes_or_no("Yes"), yes_or_no("0")
        (True, False)
    """
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if value.lower() not in words:
        raise ValueError("true or false")
    return words[value.lower()]


def whole_number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return a reader of whole numbers in ASCII digits.

    Example:
        >>> whole_number(1, 8)("4")
        4
        >>> whole_number(1, 8)("9")
        Traceback (most recent call last):
        ValueError: a whole number from 1 to 8
    """
    expected = f"a whole number from {lowest}" + ("" if highest is None else f" to {highest}")

    def read(value: str) -> int:
        if not (value.isascii() and value.isdecimal()):
            raise ValueError(expected)
        number = int(value)
        if number < lowest or (highest is not None and number > highest):
            raise ValueError(expected)
        return number

    return read


port = whole_number(0, 2**16 - 1)


def port_or_off(value: str) -> int | None:
    """Return a port, or None for off.

    Example:
        >>> port_or_off("8081"), port_or_off("off")
        (8081, None)
        >>> port_or_off("http")
        Traceback (most recent call last):
        ValueError: a whole number from 0 to 65535, or off
    """
    if value.lower() == "off":
        return None
    try:
        return port(value)
    except ValueError as error:
        raise ValueError(f"{error}, or off") from None


def amount(unit: str) -> Callable[[str], float]:
    """Return a reader of finite numbers that are not negative.

    Example:
        >>> amount("seconds")("2.5")
        2.5
        >>> amount("seconds")("nan")
        Traceback (most recent call last):
        ValueError: seconds, 0 or more
    """

    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            raise ValueError(f"{unit}, 0 or more")
        return number

    return read


def host_names(value: str) -> frozenset[str]:
    """Return the host names and addresses of a comma-separated list, in lower case.

    Example:
        >>> sorted(host_names("Fraud.example.com, *.svc.cluster.local,10.0.0.1"))
        ['*.svc.cluster.local', '10.0.0.1', 'fraud.example.com']
        >>> host_names("http://fraud:8080")
        Traceback (most recent call last):
        ValueError: host names or addresses without scheme and port, separated by commas
    """
    found = frozenset(word.strip().lower() for word in value.split(","))
    for name in found:
        is_name = re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", name)
        if not is_name and not re.fullmatch(r"[0-9a-f:.]*:[0-9a-f:.]*", name):
            raise ValueError("host names or addresses without scheme and port, separated by commas")
    return found


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader of exactly one of these words.

    Example:
        >>> one_of("reject", "count")("count")
        'count'
    """

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(" or ".join(words))
        return value

    return read


def some_of(*words: str) -> Callable[[str], frozenset[str]]:
    """Return a reader of a comma-separated list of these words; `none` is an empty list.

    Example:
        >>> sorted(some_of("health", "metrics")("metrics, health"))
        ['health', 'metrics']
        >>> some_of("health", "metrics")("none")
        frozenset()
    """

    def read(value: str) -> frozenset[str]:
        given = [] if value == "none" else [word.strip() for word in value.split(",")]
        found = frozenset(filter(None, given))
        if not found <= frozenset(words):
            raise ValueError(f"some of {', '.join(words)}, separated by commas, or none")
        return found

    return read
