"""Compressed bodies, to the application and as a function."""

import gzip
import json
import time
import tracemalloc
import zlib

import pytest

from kfp_tabular.serving.http.content_encoding import PIECE_BYTES, decompress
from kfp_tabular.serving.protocol.request_error import RequestError
from tests.serving.conftest import LIMITS
from tests.serving.fraud_requests import V1, V2, tensors

ROW = {"amount": 3.25, "商户": "店", "hour": 7}
BODY = json.dumps({"instances": [ROW]}).encode()


def post(client, content, *encodings, path=V1):
    headers = [("content-encoding", encoding) for encoding in encodings]
    return client().post(path, content=content, headers=headers)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "gzip, identity"])
def test_a_gzip_body_is_answered_like_the_plain_one(client, encoding):
    plain = post(client, BODY)
    assert plain.status_code == 200
    assert post(client, gzip.compress(BODY), encoding).json() == plain.json()
    assert post(client, BODY, "identity").json() == plain.json()
    v2 = json.dumps({"inputs": tensors([ROW])}).encode()
    assert (
        post(client, gzip.compress(v2), encoding, path=V2).json()["outputs"]
        == post(client, v2, path=V2).json()["outputs"]
    )


def test_several_members_are_one_body(client):
    parts = gzip.compress(BODY[:10]) + gzip.compress(b"") + gzip.compress(BODY[10:])
    assert post(client, parts, "gzip").json() == post(client, BODY).json()


@pytest.mark.parametrize(
    "encodings",
    [("br",), ("deflate",), ("zstd",), ("compress",), ("gzip, gzip",), ("gzip", "gzip"), ("x",)],
)
def test_another_encoding_is_answered_with_what_is_accepted(client, encodings):
    answer = post(client, zlib.compress(BODY), *encodings)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, identity"
    assert "gzip, identity" in answer.json()["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        BODY,
        b"\x1f\x8b",
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY)[:-9],
        gzip.compress(BODY)[:-8] + b"\0" * 8,
        gzip.compress(BODY) + b"x",
        gzip.compress(BODY) + gzip.compress(BODY)[:20],
        zlib.compress(BODY),
    ],
)
def test_what_is_not_gzip_is_rejected(client, content):
    answer = post(client, content, "gzip")
    assert answer.status_code == 400
    assert "gzip" in answer.json()["error"]


def test_a_bomb_is_rejected_at_the_limit(client):
    bomb = gzip.compress(b" " * 50_000_000)
    small = gzip.compress(b"[" * (LIMITS.max_body_bytes + 1))
    for content in (small, bomb[:15_000]):
        answer = post(client, content, "gzip")
        assert answer.status_code == 413
        assert str(LIMITS.max_body_bytes) in answer.json()["error"]


def test_a_bomb_takes_no_memory():
    bomb = gzip.compress(b" " * 200_000_000)
    tracemalloc.start()
    for piece in decompress(bomb):
        assert len(piece) <= PIECE_BYTES
    assert tracemalloc.get_traced_memory()[1] < 5 * PIECE_BYTES
    tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 1000, 70_000, 3_000_000])
def test_pieces_are_the_content(size):
    content = bytes(number * number % 251 for number in range(size))
    assert b"".join(decompress(gzip.compress(content))) == content
    with pytest.raises(RequestError):
        list(decompress(gzip.compress(content)[:-1]))


def test_members_without_content_do_not_keep_others_waiting():
    member = gzip.compress(b"")
    pieces = decompress(member * (2**20 // len(member)))
    longest, begin = 0.0, time.process_time()
    for piece in pieces:
        assert piece == b""
        longest, begin = max(longest, time.process_time() - begin), time.process_time()
    # All of them at once take a tenth of a second for each MiB.
    assert longest < 0.05
