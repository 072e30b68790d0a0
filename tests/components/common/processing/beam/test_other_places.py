"""Beam through an object store, and on Prism: the results of the other engines."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    PieceWriter,
    ShardDestination,
    gather,
    record,
)
from kfp_tabular.components.common.artifacts.examples.piece_writer import Shards
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines, processing_settings
from kfp_tabular.components.common.processing.beam import exchange, installation
from kfp_tabular.components.common.processing.pieces import Piece, numbered
from kfp_tabular.components.common.processing.processing_settings import BeamSettings
from kfp_tabular.components.common.storage.folder import Folder
from tests import beam_services
from tests.beam_services import Services
from tests.components.common.processing.beam.test_beam_engine import Listing, pieces, starts
from tests.servers.stores import s3  # noqa: F401 - a fixture

_ROOT = Path(__file__).parents[5]
_PRISM = _ROOT / ".venvs" / "prism" / "bin" / "prism"


@pytest.fixture(scope="module")
def services(
    s3: str,  # noqa: F811 - its variables are those of the workers
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Services]:
    with beam_services.running(tmp_path_factory.mktemp("beam")) as found:
        yield found


def prism(**options: Any) -> dict[str, Any]:
    program = shutil.which("prism", path=_PRISM.parent)
    if program is None:
        pytest.skip(f"{_PRISM} is absent; 'make prism' builds it, with Go")
    return {
        "engine": "beam",
        "runner": "PrismRunner",
        "options": {"prism_location": program, **options},
    }


def check(document: dict[str, Any]) -> None:
    with engines.opened(document, "validate-data") as opened:
        found, _ = opened.engine.fold(pieces(20), Listing, starts)
        with engines.opened({"engine": "beam"}) as direct:
            assert found == direct.engine.fold(pieces(20), Listing, starts)[0]
        results = [result for _, result in opened.engine.map(pieces(3), start)]
        assert results == [0, 1, 2]
        with pytest.raises(UserError, match=r"^piece 3 is bad\.$"):
            list(opened.engine.map(pieces(9), bad))


def start(piece: Piece) -> int:
    return piece.start


def bad(piece: Piece) -> int:
    if piece.start in (3, 5):
        raise UserError(f"piece {piece.start} is bad.")
    return 0


def test_pieces_errors_and_results_in_a_bucket(
    services: Services,
    s3: str,  # noqa: F811
) -> None:
    check(services.document(temp_location=f"{s3}/beam"))

    assert Folder(f"{s3}/beam").list() == {}


@dataclass(frozen=True)
class WriteShard:
    """Writes a piece's number as a shard."""

    destination: ShardDestination

    def __call__(self, piece: Piece) -> Shards:
        table = pa.table({"x": [piece.start]})
        with PieceWriter(self.destination, piece.number, table.schema) as writer:
            writer.write("train", table)
        return writer.shards


def test_shards_go_to_a_bucket_from_the_workers(
    services: Services,
    s3: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    document = services.document(temp_location=f"{s3}/beam", shards_uri=f"{s3}/shards")
    schema = pa.schema({"x": pa.int64()})
    with engines.opened(document) as opened:
        destination = ShardDestination.attempt_below(opened.shards_uri)
        found = opened.engine.map(numbered(pieces(9)), WriteShard(destination))
        gathered = gather(destination, schema, ["train"], (shards for _, shards in found))

    record(tmp_path, gathered.schema, gathered.shards, inputs={}, shards_uri=destination.shards_uri)
    examples = Examples(tmp_path)
    assert all(shard.uri.startswith(f"{s3}/shards/") for shard in examples.require("train"))
    rows = pa.Table.from_batches(examples.batches("train"), examples.schema)
    assert rows["x"].to_pylist() == list(range(9))


def test_prism_in_this_process() -> None:
    check(prism())


def test_prism_with_workers_of_their_own(beam_services: Services, tmp_path: Path) -> None:
    settings = beam_services.document(processes=True)["options"]
    given = {key: settings[key] for key in ("environment_type", "environment_config")}

    check({**prism(**given), "temp_location": str(tmp_path)})


@pytest.mark.parametrize("place", ["here", "in a bucket"])
def test_a_folder_that_is_closed_starts_nothing(
    place: str,
    s3: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    with exchange.opened(str(tmp_path) if place == "here" else f"{s3}/closed") as folder:
        assert not folder.starts(0)
        folder.write_pieces(pieces(3))
        assert folder.read_pieces() == pieces(3)
        assert folder.starts(2)
        folder.note_done(0)
        folder.note_error(1, "a.csv: bad.")
        assert folder.done() == [0]
        assert [folder.starts(number) for number in range(3)] == [True, True, False]
        folder.write_result("bad", [])
        assert folder.read_result() == ("bad", [])
        folder.write_result("", [b"", b"x"])
        assert folder.read_result() == ("", [b"", b"x"])
    assert not folder.starts(0)


def documented() -> dict[str, Any]:
    text = (_ROOT / "docs" / "guides" / "scaling.md").read_text(encoding="utf-8")
    found = [yaml.safe_load(code) for code in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    return {each["runner"]: each for each in found if each.get("engine") == "beam"}


@pytest.mark.parametrize("runner", ["PortableRunner", "PrismRunner", "DataflowRunner"])
def test_beam_takes_the_options_of_the_guide(runner: str) -> None:
    settings = processing_settings.parse(documented()[runner], "transform-features")

    assert isinstance(settings, BeamSettings)
    made = installation.options(settings, "job").get_all_options(drop_default=True)
    for name, value in settings.options.items():
        assert made[name] == value


def test_prism_is_of_the_version_of_beam() -> None:
    assert f"PRISM_VERSION := v{version('apache_beam')}\n" in (_ROOT / "Makefile").read_text()
