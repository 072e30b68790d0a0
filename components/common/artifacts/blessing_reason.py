"""Why a model is blessed or not, as a sentence beside the badge that says which."""

_VERDICTS = ("Blessed: ", "Not blessed: ")


def without_verdict(why: str) -> str:
    """Return the reason as a sentence of its own.

    Args:
        why: The sentence of an evaluation's verdict; one that begins otherwise stays as it is.

    Example:
        >>> without_verdict("Not blessed: the log loss is 3% above that of the constant answer.")
        'The log loss is 3% above that of the constant answer.'
        >>> without_verdict("Blessed: auc is 0.9.")
        'auc is 0.9.'
    """
    for prefix in _VERDICTS:
        if why.startswith(prefix):
            rest = why.removeprefix(prefix)
            # A metric keeps its name.
            return f"The {rest[4:]}" if rest.startswith("the ") else rest
    return why
