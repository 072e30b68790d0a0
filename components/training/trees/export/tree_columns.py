"""Which packed column each feature of a CatBoost pool comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TreeColumns:
    """The features of the pool that a CatBoost model was trained on, by packed column.

    CatBoost numbers numeric and categorical features separately, each in the pool's order, however
    they are mixed. A categorical value of the pool is the id's decimal text, which is what CatBoost
    makes of an integer.

    Attributes:
        numeric: For each numeric feature of the pool, its column of the `numeric` matrix.
        categorical: For each categorical feature of the pool, its column of the `categorical`
            matrix.
        sizes: For each categorical feature of the pool, the number of ids, counted from 0. Any
            other id is a category that was not seen in training.

    Example:
        >>> # Two of three packed numbers, then the ids of the second categorical column.
        >>> TreeColumns(numeric=(0, 2), categorical=(1,), sizes=(40,)).sizes
        (40,)
    """

    numeric: tuple[int, ...]
    categorical: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.categorical) != len(self.sizes):
            raise ValueError(
                f"{len(self.categorical)} categorical columns, but {len(self.sizes)} sizes"
            )
