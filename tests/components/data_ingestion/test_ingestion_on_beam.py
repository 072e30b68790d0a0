"""An ingestion on a portable runner of Beam: the same rows in the same splits as on one machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from tests.beam_services import Services
from tests.components.data_ingestion.test_ingestion_on_spark import (
    data,  # noqa: F401 - a fixture
    outputs,
)


@pytest.fixture(scope="module")
def beam(beam_services: Services) -> Iterator[Engine]:
    with engines.opened(beam_services.document(), "ingest-data") as opened:
        yield opened.engine


@pytest.mark.parametrize("given", [{}, {"split_method": "row"}], ids=["chosen", "row"])
def test_equal_to_one_machine(
    beam: Engine,
    data: Path,  # noqa: F811
    tmp_path: Path,
    given: dict[str, Any],
) -> None:
    here = outputs(data, tmp_path / "here", None, **given)
    spread = outputs(data, tmp_path / "spread", beam, **given)

    assert spread == here
    assert len(here["rejected"]) == 7
    assert len(list((tmp_path / "spread" / "examples" / "split=train").iterdir())) > 5


def test_bad_input_is_one_line_and_leaves_nothing(
    beam: Engine,
    data: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match="not a time") as error:
        outputs(data, tmp_path / "bad", beam, split_method="time", split_column="note")

    assert "\n" not in str(error.value)
    assert not (tmp_path / "bad" / "examples").exists()
