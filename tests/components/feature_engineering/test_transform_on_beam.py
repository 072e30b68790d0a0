"""A transform on a portable runner of Beam: the vocabularies and the rows of one machine."""

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.feature_engineering import transform
from tests.components.feature_engineering.test_transformed_examples import (
    request_,  # noqa: F401 - a fixture
    rows_of,
)


def test_equal_to_one_machine(beam_services, request_, tmp_path, monkeypatch):  # noqa: F811
    whole, spread = request_("on one machine"), request_("on beam")
    transform.run(whole)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)
    document = beam_services.document(shards_uri=str(tmp_path / "shards"))

    with engines.opened(document, "transform-features") as opened:
        transform.run(spread, opened.engine, opened.shards_uri)

    expected, found = rows_of(whole.transformed_examples), rows_of(spread.transformed_examples)
    assert found.keys() == expected.keys()
    assert all(found[split].equals(expected[split]) for split in expected)
    # A shard for each piece that has labels.
    assert len(Examples(spread.transformed_examples).require("train")) == 6
    assert (tmp_path / "shards").is_dir()
    for path in (whole.transform_graph / "transform_fn" / "assets").iterdir():
        other = spread.transform_graph / "transform_fn" / "assets" / path.name
        assert other.read_bytes() == path.read_bytes()
