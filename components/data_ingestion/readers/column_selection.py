"""Which columns of the files to read, and how those that hold several values become columns."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.readers.partitions import Partition, partitions


@dataclass(frozen=True)
class ColumnSelection:
    """What to read.

    Attributes:
        exclude: Columns that are not read.
        nested: How columns with several values per row become columns: `flatten` or `bag`.
        partitions: What the folders of a file say about its rows, by the file's URI.
        carried: Excluded columns that are read for the evaluation, and are no features.
    """

    exclude: Collection[str] = frozenset()
    nested: Mapping[str, str] = field(default_factory=dict)
    partitions: Mapping[str, Partition] = field(default_factory=dict)
    carried: Sequence[str] = ()

    def partition(self, file: InputFile, columns: Collection[str]) -> Partition:
        """Return what the folders of a file say, without columns that the file itself has."""
        given = self.partitions.get(file.uri, {})
        return {
            name: value
            for name, value in given.items()
            if name not in columns and name not in self.exclude
        }

    def kept(self, columns: Iterable[str]) -> list[str]:
        """Return the columns that are not excluded."""
        return [name for name in columns if name not in self.exclude]

    @property
    def notes(self) -> list[Finding]:
        """What to say about the columns that folders hold, and those that are only carried."""
        values: dict[str, set[str | None]] = {}
        for partition in self.partitions.values():
            for name, value in partition.items():
                if name not in self.exclude:
                    values.setdefault(name, set()).add(value)
        carried = [
            Finding(
                "note",
                "carried",
                f"{', '.join(map(repr, self.carried))}: read for the evaluation only, because "
                "exclude and an option of the evaluation name them; they are no features.",
                option="exclude",
            )
        ]
        return (carried if self.carried else []) + [
            Finding(
                "note",
                "partition-column",
                f"Column {name!r} is read from the names of folders, which have {len(found)} "
                f"value{'s' if len(found) > 1 else ''}.",
                name,
                "exclude",
            )
            for name, found in values.items()
        ]

    def check(self, columns: Sequence[str]) -> None:
        """Check that the data have the columns that the options name.

        Args:
            columns: All columns of the data: excluded ones too, nested ones under their own name
                and under those that they become.

        Raises:
            UserError: One does not exist.
        """
        for argument, names in (
            ("exclude", (*self.exclude, *self.carried)),
            ("nested", self.nested),
        ):
            for name in names:
                if name not in columns:
                    raise UserError(
                        f"{argument}: the data have no column {name!r}.{closest(name, columns)}"
                    )


def select(options: IngestionOptions, files: Sequence[InputFile]) -> ColumnSelection:
    """Return what the options select from files.

    Raises:
        UserError: The label is excluded or nested, or a column is both.

    Example:
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> files = [LocalFile("data/region=EU/0.csv", Path("0.csv"))]
        >>> options = IngestionOptions("data", exclude=["customer", "notes"], keep=["customer"])
        >>> found = select(options, files)
        >>> sorted(found.exclude), found.partitions
        (['notes'], {'data/region=EU/0.csv': {'region': 'EU'}})
    """
    for argument, names in (("exclude", options.exclude), ("nested", options.nested)):
        if options.label and options.label in names:
            raise UserError(f"{argument}: {options.label!r} is the label. Remove it from there.")
    for name in options.nested:
        if name in options.exclude:
            raise UserError(f"nested: column {name!r} is also in exclude. Remove one of them.")
    split = options.split
    evaluated: set[str] = set()
    for entry in (
        *options.keep,
        *options.slice_columns,
        *options.entity_columns,
        *options.fairness_columns,
    ):
        evaluated |= {entry, *(name.strip() for name in entry.split(","))}
    used = {*split.split_keys, split.split_column, *evaluated}
    return ColumnSelection(
        frozenset(name for name in options.exclude if name not in used),
        dict(options.nested),
        partitions(options.data_uri, files),
        tuple(name for name in dict.fromkeys(options.exclude) if name in evaluated),
    )
