"""A validation on a portable runner of Beam: the outputs of one machine."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.statistics import statistics_files
from tests.accumulator_laws import RELATIVE, assert_same
from tests.beam_services import Services
from tests.components.data_validation.test_validation_on_spark import (
    examples,  # noqa: F401 - a fixture
    outputs,
    plain,
)


def test_equal_to_one_machine(
    beam_services: Services,
    examples: Examples,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = outputs(examples, tmp_path / "whole", None)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 200)
    with engines.opened(beam_services.document(), "validate-data") as opened:
        spread = outputs(examples, tmp_path / "spread", opened.engine)

    for file in ("schema/schema.pbtxt", "anomalies/anomalies.json", "anomalies/anomalies.pbtxt"):
        assert (spread / file).read_bytes() == (whole / file).read_bytes(), file
    expected = statistics_files.read(whole / "statistics")
    found = statistics_files.read(spread / "statistics")
    assert found.keys() == expected.keys()
    for split, proto in expected.items():
        assert_same(plain(found[split]), plain(proto), RELATIVE)
