"""Which packed column each feature of a CatBoost pool comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TreeColumns:
    """The features of the pool that a CatBoost model was trained on, by packed column.

    CatBoost numbers numeric and categorical features separately, each in the pool's order, however
    they are mixed. Its numeric features are packed numbers first, then ordered ids. A categorical
    value of the pool is the id's decimal text, which is what CatBoost makes of an integer.

    Attributes:
        numeric: For each packed number in the pool, its column of the `numeric` matrix.
        categorical: For each categorical feature of the pool, its column of the `categorical`
            matrix.
        sizes: For each categorical feature of the pool, the number of ids, counted from 0. Any
            other id is a category that was not seen in training.
        ordered: For each ordered id in the pool, its column of the `categorical` matrix.

    Example:
        >>> # Two of three packed numbers, then the ids of the second categorical column.
        >>> TreeColumns(numeric=(0, 2), categorical=(1,), sizes=(40,)).sizes
        (40,)
    """

    numeric: tuple[int, ...]
    categorical: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    ordered: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.categorical) != len(self.sizes):
            raise ValueError(
                f"{len(self.categorical)} categorical columns, but {len(self.sizes)} sizes"
            )

    @property
    def numbers(self) -> int:
        """The number of numeric features of the pool."""
        return len(self.numeric) + len(self.ordered)

    def number_source(self, feature: int) -> int:
        """Return where a numeric feature of the pool comes from.

        Returns:
            A column of the `numeric` matrix, or, from -1 down, a column of the `categorical` one.

        Example:
            >>> columns = TreeColumns(numeric=(0, 2), ordered=(0, 5))
            >>> [columns.number_source(feature) for feature in range(4)]
            [0, 2, -1, -6]
        """
        if feature < len(self.numeric):
            return self.numeric[feature]
        return -1 - self.ordered[feature - len(self.numeric)]
