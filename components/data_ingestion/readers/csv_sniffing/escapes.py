"""Finds out whether a backslash escapes quotes."""

import re
from collections.abc import Sequence

from kfp_tabular.components.data_ingestion.readers.csv_rows import RowSyntax


def has_backslashes(lines: Sequence[bytes], syntax: RowSyntax) -> bool:
    r"""Return whether lines are well formed only where `\"` is a quote inside quotes.

    Args:
        lines: Lines with a backslash before a quote.
        syntax: The delimiter and the quote.

    Example:
        >>> has_backslashes([rb'"say \"yes\" or no",1'], RowSyntax())
        True
        >>> has_backslashes([rb'"C:\data\",1', rb'"C:\\",2'], RowSyntax())
        False
    """
    if not syntax.quote:
        return False
    quote, delimiter = re.escape(syntax.quote), re.escape(syntax.delimiter)
    bare = rb"[^%s%s][^%s]*|" % (quote, delimiter, delimiter)
    doubled = rb"%s(?:[^%s]|%s%s)*+%s" % (quote, quote, quote, quote, quote)
    escaped = rb"%s(?:[^%s\\]|\\.|%s%s)*+%s" % (quote, quote, quote, quote, quote)
    plain, backslashes = (
        re.compile(rb"(?:%s|%s)(?:%s(?:%s|%s))*" % (field, bare, delimiter, field, bare), re.DOTALL)
        for field in (doubled, escaped)
    )
    votes = 0
    for line in lines:
        if syntax.quote not in line:
            continue
        votes += bool(backslashes.fullmatch(line)) - bool(plain.fullmatch(line))
    return votes > 0
