"""Splits by a hash of columns that are chosen from the data."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.values.hashes import (
    Hashes,
    combine,
    hash_values,
)
from kfp_tabular.components.data_ingestion.splits import key_choice
from kfp_tabular.components.data_ingestion.splits.key_choice import KeyChoice
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowNumbers
from kfp_tabular.components.data_ingestion.splits.split_evidence import (
    ColumnEvidence,
    Kinds,
    SplitEvidence,
    sampled_rows,
)
from kfp_tabular.components.data_ingestion.splits.splitters import Assigned, Assignment, splits_of


@dataclass(frozen=True)
class EvidenceLookedAt:
    """What a block of rows shows, and what its splits depend on.

    Attributes:
        choice: The choice that was known; None before the first.
        keys: The columns that `kinds` of the evidence is about.
        evidence: What the rows show.
        splits: The split of each row if rows of the same kind stay together.
        row_hashes: The hash of each whole row, for a split by row; None for other splits.
    """

    choice: KeyChoice | None
    keys: tuple[str, ...]
    evidence: SplitEvidence
    splits: Assigned
    row_hashes: Hashes | None = None

    @property
    def assignment(self) -> Assignment | None:
        """The splits, where they depend on neither a choice to come nor the rows before."""
        ready = self.choice is not None and not self.choice.by_row
        return Assignment(self.splits) if ready else None


class ChosenSplit:
    """Chooses the key of a split by hash, and splits by it.

    The first blocks give a choice, by which rows are split while evidence goes on. Where all of the
    evidence gives another choice, the rows have to be split again by that one.

    Args:
        names: The splits.
        limits: The cumulative shares, ascending; the last is 1.0.
        columns: The columns of the source that tell rows apart: all but excluded ones. Columns that
            are derived while reading would only repeat them.
        label: The label's column, one of these; empty for no label.
        salt: A different salt gives a different split.

    Attributes:
        choice: The choice so far.
        evidence: What all rows show, once the choice is settled.
        columns: As given.
        drops: No column is left out of the examples.
        decides: Any row can be assigned.

    Example:
        >>> split = ChosenSplit(["train", "test"], [0.5, 1.0], ["x", "paid"], "paid", salt="")
        >>> block = {"x": pa.array(range(9)), "paid": pa.array([0, 1, 0] * 3)}
        >>> looked_at = split.look(block)
        >>> split.choose([looked_at], [block])
        >>> split.choice, split.again(looked_at, block).assignment.splits.tolist()
        (KeyChoice(keys=('x',), by_row=False), [0, 0, 1, 0, 1, 1, 0, 1, 1])
    """

    drops: None = None
    decides: None = None

    def __init__(
        self,
        names: Sequence[str],
        limits: Sequence[float],
        columns: Sequence[str],
        label: str,
        salt: str,
    ) -> None:
        self.names = names
        self.choice: KeyChoice | None = None
        self._limits = limits
        self.columns = tuple(columns)
        self._candidates = [name for name in columns if name != label] or list(columns)
        self._salt = salt
        self.evidence: SplitEvidence | None = None
        self._keys: tuple[str, ...] | None = None

    @property
    def is_numbered(self) -> bool:
        """Whether rows are split one by one."""
        return self.choice is not None and self.choice.by_row

    def forget(self) -> None:
        """Forget a choice that was made from columns which turned out to be others."""
        self.choice = self._keys = None

    def look(self, columns: Mapping[str, pa.Array]) -> EvidenceLookedAt:
        """Collect the evidence of a block, and hash its rows. May run in any thread."""
        candidates = self._candidates
        hashed = {name: hash_values(columns[name]) for name in candidates}
        expected = sampled_rows(len(candidates))
        shown = {
            name: ColumnEvidence.of(columns[name], hashed[name], expected) for name in candidates
        }
        choice = self.choice
        keys = choice.keys if choice else self._keys or tuple(candidates)
        return self._kinds(columns, hashed, shown, keys, choice)

    def choose(
        self, first: Sequence[EvidenceLookedAt], blocks: Sequence[Mapping[str, pa.Array]]
    ) -> None:
        """Choose from the first blocks, unless a choice is known from an earlier attempt."""
        if self.choice is not None:
            return
        names = first[0].evidence.columns
        columns = {
            name: ColumnEvidence.merge([seen.evidence.columns[name] for seen in first])
            for name in names
        }
        keys = self._keys or key_choice.features_among(columns)
        kinds = Kinds.merge(
            [
                self._again(seen, block, KeyChoice(keys)).evidence.kinds
                for seen, block in zip(first, blocks, strict=True)
            ]
        )
        self.choice = KeyChoice(keys, by_row=not self._keeps_together(kinds))

    def again(
        self, looked_at: EvidenceLookedAt, columns: Mapping[str, pa.Array]
    ) -> EvidenceLookedAt:
        """Look at a block by the choice, where that makes a difference."""
        if self.choice is None:
            raise AssertionError("rows are assigned before there is a choice")
        return self._again(looked_at, columns, self.choice)

    def assign(self, looked_at: EvidenceLookedAt, numbers: RowNumbers) -> Assignment:
        """Return the split of each row of a block."""
        if looked_at.row_hashes is None:
            return Assignment(looked_at.splits)
        return Assignment(splits_of(numbers.tell_apart(looked_at.row_hashes), self._limits))

    def is_settled(self, evidence: SplitEvidence | None) -> bool:
        """Return whether all of the evidence gives the same choice. Otherwise, split again."""
        choice = self.choice
        if choice is None or evidence is None:
            raise AssertionError("there is no choice to settle")
        self.evidence = evidence
        keys = key_choice.features_among(evidence.columns)
        if keys != choice.keys:
            # How many kinds of row there are by this key is not known yet.
            self._keys, self.choice = keys, None
            return False
        by_row = not self._keeps_together(evidence.kinds)
        self.choice = KeyChoice(keys, by_row)
        return by_row == choice.by_row

    def _keeps_together(self, kinds: Kinds) -> bool:
        return key_choice.keeps_together(kinds, np.diff([0.0, *self._limits]).tolist())

    def _again(
        self, looked_at: EvidenceLookedAt, columns: Mapping[str, pa.Array], choice: KeyChoice
    ) -> EvidenceLookedAt:
        """Look at a block by another choice, where that makes a difference."""
        rows_hashed = looked_at.row_hashes is not None
        if looked_at.keys == choice.keys and rows_hashed == choice.by_row:
            return dataclasses.replace(looked_at, choice=choice)
        wanted = self.columns if choice.by_row else choice.keys
        hashed = {name: hash_values(columns[name]) for name in wanted}
        return self._kinds(columns, hashed, looked_at.evidence.columns, choice.keys, choice)

    def _kinds(
        self,
        columns: Mapping[str, pa.Array],
        hashed: Mapping[str, Hashes],
        shown: Mapping[str, ColumnEvidence],
        keys: tuple[str, ...],
        choice: KeyChoice | None,
    ) -> EvidenceLookedAt:
        key_hashes = combine({name: hashed[name] for name in keys}, self._salt)
        splits = splits_of(key_hashes, self._limits)
        kinds = Kinds.of(key_hashes, splits, len(self.names))
        row_hashes = None
        if choice and choice.by_row:
            rest = {name: hash_values(columns[name]) for name in self.columns if name not in hashed}
            row_hashes = combine({**hashed, **rest}, self._salt)
        return EvidenceLookedAt(choice, keys, SplitEvidence(shown, kinds), splits, row_hashes)
