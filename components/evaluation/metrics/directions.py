"""Which way a metric is better."""

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "rmse", "mae"})
ZERO_IS_BEST = frozenset({"bias"})


def sign(metric: str) -> int:
    """Return 1 if a higher value of a metric is better, -1 if a lower one is, 0 if 0 is best.

    Example:
        >>> sign("auc"), sign("log_loss"), sign("bias")
        (1, -1, 0)
    """
    if metric in ZERO_IS_BEST:
        return 0
    return -1 if metric in LOWER_IS_BETTER else 1
