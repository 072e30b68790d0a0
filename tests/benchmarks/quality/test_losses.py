"""The losses of rows: what is kept, and the standard error of a difference."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.quality import paired, row_losses, scores, tested_rows
from tests.benchmarks.quality.paired import SeedLosses
from tests.benchmarks.quality.results import Result


@settings(deadline=None, max_examples=50)
@given(rows=st.integers(2, 200), seed=st.integers(0, 1000))
def test_the_standard_error_of_a_mean_is_that_of_paired_differences(rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    model, other = random.exponential(size=(2, rows))
    found = paired.standard_error("binary", [SeedLosses(np.arange(rows), model, other)])
    assert found == pytest.approx(np.std(model - other) / rows**0.5)


def test_the_standard_error_of_a_root_covers_the_spread_of_samples() -> None:
    random = np.random.default_rng(5)
    differences, errors = [], []
    for _ in range(400):
        noise = random.normal(size=300)
        model, other = noise**2, (0.8 * noise + 0.5 * random.normal(size=300)) ** 2
        differences.append(math.sqrt(model.mean()) - math.sqrt(other.mean()))
        losses = SeedLosses(np.arange(300), model, other)
        errors.append(paired.standard_error("regression", [losses]))
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.1)


def test_a_row_that_is_tested_twice_is_no_second_row() -> None:
    random = np.random.default_rng(0)
    model, other = random.exponential(size=(2, 50))
    once = paired.standard_error("binary", [SeedLosses(np.arange(50), model, other)])
    same = [SeedLosses(np.arange(50), model, other)] * 2
    assert paired.standard_error("binary", same) == pytest.approx(once)
    apart = [SeedLosses(np.arange(50) + first, model, other) for first in (0, 50)]
    assert paired.standard_error("binary", apart) == pytest.approx(once / 2**0.5)


def test_models_without_any_loss_do_not_differ() -> None:
    none = SeedLosses(np.arange(3), np.zeros(3), np.zeros(3))
    assert paired.standard_error("regression", [none]) == 0


def test_labels_tell_whether_rows_are_the_same() -> None:
    assert paired.same_rows("multiclass", [0, 1, 2, 1], [5, 3, 4, 3])
    assert not paired.same_rows("multiclass", [0, 1, 2, 1], [5, 3, 3, 3])
    assert not paired.same_rows("multiclass", [0, 1], [0, 1, 1])
    assert paired.same_rows("regression", [0.1, 2.0], np.float32([0.1, 2.0]))
    assert not paired.same_rows("regression", [0.1, 2.0], [2.0, 0.1])


def _table(folder: Path, seed: int, split: str, model: list[float], other: list[float]) -> None:
    place = folder / "tables" / "email" / f"seed{seed}"
    place.mkdir(parents=True)
    lines = [f'{at},"a\nb",{name}' for at, name in enumerate(split.split())]
    place.joinpath("data.csv").write_text("\n".join(["x,note,benchmark_split", *lines]))
    row_losses.write(place, "ours", [0, 1], np.array(model))
    row_losses.write(place, "theirs", [1, 0], np.array(other))


def _kept(seed: int, model: float, other: float) -> list[Result]:
    return [
        Result("email", seed, "ours", "1", values={"score": model}),
        Result("email", seed, "theirs", "1", values={"score": other}),
    ]


def test_the_losses_that_are_kept_give_the_standard_error(tmp_path: Path) -> None:
    _table(tmp_path, 0, "train test eval test", [1.0, 2.0], [0.5, 1.0])
    _table(tmp_path, 1, "test train eval test", [1.0, 3.0], [1.0, 1.0])
    kept = [*_kept(0, 1.5, 0.75), *_kept(1, 2.0, 1.0)]
    found = tested_rows.standard_error(tmp_path, kept)("email", "ours", "theirs")
    # Row 3 is tested twice: (1 - 0.75) / 2 and (2 - 1) / 2, each halved; rows 1 and 0 once.
    assert found == pytest.approx(np.sqrt((0.125 + 0.5) ** 2 + 0.125**2 + 0.5**2) / 2)


def test_losses_of_another_result_give_no_standard_error(tmp_path: Path) -> None:
    _table(tmp_path, 0, "train test eval test", [1.0, 2.0], [0.5, 1.0])
    assert math.isnan(
        tested_rows.standard_error(tmp_path, _kept(0, 1.6, 0.75))("email", "ours", "theirs")
    )
    assert math.isnan(
        tested_rows.standard_error(tmp_path, _kept(3, 1.5, 0.75))("email", "ours", "theirs")
    )


def test_the_score_is_the_mean_of_the_losses_or_its_root() -> None:
    labels, values = np.array([0.0, 4.0]), np.array([1.0, 1.0])
    losses = scores.losses("regression", labels, values)
    assert losses.tolist() == [1.0, 9.0]
    assert scores.measure("regression", labels, values)["score"] == pytest.approx(5**0.5)
