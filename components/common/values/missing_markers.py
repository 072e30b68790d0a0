"""Texts that people and programs write where a value is missing."""

from functools import lru_cache

EXPORTED = (
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NAN",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
"""Missing in columns that do not hold text: the markers of `pandas.read_csv`, and `NAN`."""

_OTHERS = (
    "",
    "\0",
    "?",
    "??",
    "???",
    "-",
    "--",
    "---",
    "\u2013",
    "\u2014",
    ".",
    "..",
    "...",
    "*",
    "_",
    "/",
    "\\N",
    "\\n",
    "(null)",
    "<null>",
    "[null]",
    "(none)",
    "(blank)",
    "(empty)",
    "NaT",
    "n.a.",
    "n.a",
    "n/d",
    "n.d.",
    "nd",
    "n/k",
    "n\\a",
    "n/v",
    "na.",
    "k.a.",
    "k. a.",
    "s/d",
    "none",
    "nil",
    "void",
    "missing",
    "missing value",
    "unknown",
    "unk",
    "unspecified",
    "undefined",
    "unavailable",
    "not available",
    "not applicable",
    "not known",
    "not specified",
    "not reported",
    "not recorded",
    "no data",
    "no value",
    "no info",
    "blank",
    "empty",
    "tbd",
    "tba",
    "tbc",
    "pending",
    "error",
    "err",
    "invalid",
    "#DIV/0!",
    "#REF!",
    "#VALUE!",
    "#NAME?",
    "#NUM!",
    "#NULL!",
    "#ERROR!",
    "#SPILL!",
    "#CALC!",
    "#GETTING_DATA",
    "#MISSING",
    "#EMPTY",
    "#WERT!",
    "#BEZUG!",
    "#NV",
)


def spellings(words: tuple[str, ...]) -> frozenset[str]:
    """Return words as they are, in lower case, in upper case and capitalized.

    Example:
        >>> sorted(spellings(("n/d",)))
        ['N/D', 'N/d', 'n/d']
    """
    found = set(words)
    for word in words:
        found |= {word.lower(), word.upper(), word.capitalize(), word.title()}
    return frozenset(found)


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """Return all texts that mean missing where a column does not hold text.

    Example:
        >>> "N/D" in known(), "?" in known(), "7" in known()
        (True, True, False)
    """
    return spellings((*EXPORTED, *_OTHERS))
