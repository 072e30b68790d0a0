"""Bodies: chunks of all sizes, in all cuts."""

import pytest

from kfp_tabular.serving.http.request_body import (
    CHUNKS_PER_TURN,
    MOST_SMALL_CHUNKS,
    SMALL_CHUNK_BYTES,
    ChunkedDecoder,
    LengthDecoder,
)
from kfp_tabular.serving.http.request_head import HttpError


def decode(decoder, data):
    """Decode everything, turn after turn; return the content, the rest and the number of turns."""
    found, turns = b"", 0
    while True:
        content, used = decoder.decode(data)
        found, data, turns = found + content, data[used:], turns + 1
        if not decoder.pending:
            return found, data, turns


def chunks(number, size):
    return b"%x\r\n%s\r\n" % (size, b"a" * size) * number


def test_chunks_are_decoded_in_turns():
    number = 3 * CHUNKS_PER_TURN
    decoder = ChunkedDecoder()
    found, rest, turns = decode(decoder, chunks(number, 1) + b"0\r\n\r\nGET")
    assert (found, rest, decoder.complete) == (b"a" * number, b"GET", True)
    # A chunk has two lines: its size, and the end of its content.
    assert turns == 7


def test_many_small_chunks_are_rejected():
    decode(ChunkedDecoder(), chunks(MOST_SMALL_CHUNKS, 1))
    decode(ChunkedDecoder(), chunks(2 * MOST_SMALL_CHUNKS, SMALL_CHUNK_BYTES))
    with pytest.raises(HttpError, match="send larger chunks"):
        decode(ChunkedDecoder(), chunks(MOST_SMALL_CHUNKS + 1, 1))


def test_a_body_of_a_known_length_ends_with_it():
    decoder = LengthDecoder(5)
    assert decoder.decode(b"abc") == (b"abc", 3)
    assert not decoder.complete
    assert decoder.decode(b"deGET") == (b"de", 2)
    assert decoder.complete
