"""Compares a transform that an engine spreads over processes with that of one machine."""

from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import example_pieces, lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.feature_engineering import transform
from tests.components.feature_engineering.test_transformed_examples import rows_of


def check(document: dict[str, Any], request_: Any, shards: Path, monkeypatch: Any) -> None:
    """Transform in several pieces, and compare the graph and the rows.

    Args:
        document: The engine, which writes its shards to `shards`.
        request_: The fixture that makes requests.
        shards: The `shards_uri` of the document.
        monkeypatch: Makes the pieces small.
    """
    whole, spread = request_("on one machine"), request_("spread")
    transform.run(whole)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)

    with engines.opened(document, "transform-features") as opened:
        transform.run(spread, opened.engine, opened.shards_uri)

    expected, found = rows_of(whole.transformed_examples), rows_of(spread.transformed_examples)
    assert found.keys() == expected.keys()
    assert all(found[split].equals(expected[split]) for split in expected)
    # A shard for each piece that has labels.
    assert len(Examples(spread.transformed_examples).require("train")) == 6
    assert shards.is_dir()
    digests = [lineage.read(each.transform_graph)["digest"] for each in (whole, spread)]
    assert digests[0] == digests[1]
    for path in (whole.transform_graph / "transform_fn" / "assets").iterdir():
        other = spread.transform_graph / "transform_fn" / "assets" / path.name
        assert other.read_bytes() == path.read_bytes()
