"""An attempt that was stopped, and the next one, which goes on from there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfp_tabular.components.batch_prediction import attempts, predict, score_piece
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from tests.components.batch_prediction.conftest import outputs, predicted, request
from tests.components.batch_prediction.test_predict import as_csv, some_rows

ROWS = 600


@pytest.fixture
def data(tmp_path: Path, small_pieces) -> Path:
    small_pieces(400, 1_200)
    file = tmp_path / "rows.csv"
    file.write_text(as_csv(some_rows(ROWS)))
    return file


class Stopped(Exception):
    """Ends an attempt."""


def stopped_at(number: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let attempts end at a piece; return the numbers of the pieces that are worked on."""
    worked: list[int] = []
    plain = score_piece.ScorePiece.__call__

    def call(self: score_piece.ScorePiece, piece: Piece) -> object:
        if piece.number == number and len(worked) >= number:
            raise Stopped
        worked.append(piece.number)
        return plain(self, piece)

    monkeypatch.setattr(score_piece.ScorePiece, "__call__", call)
    return worked


@pytest.mark.parametrize("shards", ["", "shards"])
def test_pieces_that_are_done_are_not_done_again(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: str
) -> None:
    whole = predicted(data, model, tmp_path / "whole")
    uri = str(tmp_path / shards) if shards else ""
    given = request(data, model, tmp_path / "out", write_csv=True)
    with monkeypatch.context() as patch:
        first = stopped_at(5, patch)
        with pytest.raises(Stopped):
            predict.run(given, LocalEngine(1), uri)
    assert first == [0, 1, 2, 3, 4]
    assert not given.predictions.exists()
    with monkeypatch.context() as patch:
        second = stopped_at(-1, patch)
        result = predict.run(given, LocalEngine(1), uri)
    assert second == list(range(5, result.pieces))
    assert result.earlier == 5
    assert outputs(tmp_path / "out") == {
        name: whole[name] for name in ("rows", "rejected", "findings")
    }
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert sorted(left) == ["predictions", "rejected_rows", "report.html"]


def test_what_changed_is_done_anew(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stopped_at(5, patch)
        with pytest.raises(Stopped):
            predict.run(request(data, model, tmp_path / "out"), LocalEngine(1))
    changed = request(data, model, tmp_path / "out", unseen_values="reject")
    assert predict.run(changed, LocalEngine(1)).earlier == 0
    os.utime(data, ns=(1, 1))
    assert predict.run(changed, LocalEngine(1)).earlier == 0
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["predictions", "rejected_rows", "report.html"]


def test_what_is_damaged_is_done_again(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predicted(data, model, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stopped_at(5, patch)
        with pytest.raises(Stopped):
            predict.run(request(data, model, tmp_path / "out"), LocalEngine(1))
    (folder,) = (tmp_path / "out").glob(".predictions.unfinished-*")
    shards = sorted(folder.glob("split=*/*.parquet"))
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-7])
    (folder / "_pieces" / "part-00002.arrow").write_bytes(b"ARROW1")
    found = predict.run(request(data, model, tmp_path / "out"), LocalEngine(1))
    assert found.earlier == 2
    assert outputs(tmp_path / "out")["rows"] == whole["rows"]


def test_a_larger_share_of_rejected_rows_ends_at_once(
    data: Path, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="max_rejected_fraction"):
        predict.run(request(data, model, tmp_path / "out", max_rejected_fraction=0.1))
    found = predict.run(request(data, model, tmp_path / "out"))
    assert found.earlier == found.pieces > 10


def test_shards_of_a_complete_artifact_stay(data: Path, model: Path, tmp_path: Path) -> None:
    uri = str(tmp_path / "shards")
    for name in ("a", "b"):
        assert predict.run(request(data, model, tmp_path / name), None, uri).earlier == 0
    first, second = sorted((tmp_path / "shards").iterdir())
    assert (first.name[-2:], second.name[-2:]) == ("-1", "-2")
    for folder in (first, second):
        assert sorted(path.name for path in folder.iterdir()) == [
            "_manifest.json",
            "split=predictions",
        ]


def test_another_process_writes_there(data: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "predictions"
    with attempts.opened(output, "a", ""):
        with attempts.opened(output, "b", ""):
            pass
        with (
            pytest.raises(UserError, match="another process writes the same predictions"),
            attempts.opened(output, "a", ""),
        ):
            pass


SCRIPT = """
import sys
from pathlib import Path
from kfp_tabular.components.batch_prediction import predict
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from tests.components.batch_prediction.conftest import request
csv_source.BLOCK_BYTES, csv_source._BYTES_PER_COLUMN = 400, 0
source_pieces._SMALLEST = source_pieces._LARGEST = 1_200
data, model, folder = map(Path, sys.argv[1:])
found = predict.run(request(data, model, folder), LocalEngine(1))
print(found.earlier, found.pieces)
"""


def test_kill_and_resume(data: Path, model: Path, tmp_path: Path) -> None:
    whole = predicted(data, model, tmp_path / "whole")
    command = [sys.executable, "-c", SCRIPT, str(data), str(model), str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    seen = 0
    while process.poll() is None and seen < 3:
        seen = len(list((tmp_path / "out").glob(".predictions.*/_pieces/*.arrow")))
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert seen >= 3
    killed = not (tmp_path / "out" / "predictions").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    earlier, pieces = map(int, done.stdout.split()[-2:])
    # A machine that was busy may have let it end before it was killed.
    assert earlier >= 3 if killed else pieces
    assert outputs(tmp_path / "out")["rows"] == whole["rows"]
    assert json.loads(outputs(tmp_path / "out")["findings"])
