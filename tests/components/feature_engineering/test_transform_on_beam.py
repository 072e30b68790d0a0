"""A transform on a portable runner of Beam: the graph and the rows of one machine."""

import numpy as np
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.beam.beam_engine import BeamEngine
from kfp_tabular.components.feature_engineering.graph import user_function
from tests.components.feature_engineering import spread_transform
from tests.components.feature_engineering.graph import my_preprocessing
from tests.components.feature_engineering.graph.test_user_function import (
    table,  # noqa: F401 - a fixture
)
from tests.components.feature_engineering.test_transformed_examples import (
    request_,  # noqa: F401 - a fixture
)


def test_equal_to_one_machine(beam_services, request_, tmp_path, monkeypatch):  # noqa: F811
    document = beam_services.document(shards_uri=str(tmp_path / "shards"))
    spread_transform.check(document, request_, tmp_path / "shards", monkeypatch)


def test_a_function_of_the_user_is_analyzed_by_the_runner(beam_services, run, table, monkeypatch):  # noqa: F811
    function = f"{my_preprocessing.__name__}:good"
    splits = {"train": table, "eval": table.slice(0, 40)}
    here = run(splits, preprocessing_fn=function)
    folders = []
    original = BeamEngine.exchange

    def noted(self):
        folders.append(self.temp_location)
        return original(self)

    monkeypatch.setattr(BeamEngine, "exchange", noted)
    with engines.opened(beam_services.document(), "transform-features") as opened:
        spread = run(splits, preprocessing_fn=function, engine=opened.engine)

    assert folders == [str(beam_services.folder / "exchange")]
    for name in here.table().column_names:
        # Sums are added in another order.
        np.testing.assert_allclose(
            np.stack(spread.table()[name].to_numpy()),
            np.stack(here.table()[name].to_numpy()),
            rtol=1e-6,
            atol=1e-7,
        )
    assert spread.features == here.features
    names = [path.name for path in (here.graph / "transform_fn" / "assets").iterdir()]
    assert len(names) == 1
    for name in names:
        vocabulary = [each.graph / "transform_fn" / "assets" / name for each in (here, spread)]
        assert vocabulary[0].read_bytes() == vocabulary[1].read_bytes()
    assert list((beam_services.folder / "exchange").iterdir()) == []


def test_a_location_that_tensorflow_does_not_read(run, table):  # noqa: F811
    document = {"engine": "beam", "temp_location": "s3://bucket/beam"}
    with (
        engines.opened(document, "transform-features") as opened,
        pytest.raises(UserError, match="knows paths and gs:// URIs only"),
    ):
        user_function._beam_engine(opened.engine)
