"""A stream over ranges: the bytes of the file, each fetched once when read in order."""

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.storage import range_stream
from kfp_tabular.components.common.storage.range_stream import open_range

CONTENT = bytes(number * 7 % 251 for number in range(5_000))


class Fetches:
    """Fetches ranges, and notes them."""

    def __init__(self):
        self.ranges = []

    def __call__(self, start, end):
        self.ranges.append((start, end))
        return CONTENT[start:end]

    @property
    def fetched(self):
        return sum(end - start for start, end in self.ranges)


@given(
    start=st.integers(0, 5_100),
    length=st.none() | st.integers(0, 5_100),
    block=st.integers(1, 700),
    steps=st.lists(st.tuples(st.integers(0, 5_200), st.integers(-1, 900)), max_size=8),
)
def test_any_reads_are_those_of_the_file(start, length, block, steps):
    stop = None if length is None else start + length
    with open_range(Fetches(), len(CONTENT), start, stop, block) as stream:
        assert stream.tell() == min(start, len(CONTENT))
        for at, size in steps:
            stream.seek(at)
            expected = CONTENT[at:] if size < 0 else CONTENT[at : at + size]
            assert stream.read(size) == expected


def test_a_range_read_in_order_is_fetched_once_and_nothing_beyond_it():
    fetch = Fetches()
    with open_range(fetch, len(CONTENT), 1_003, 4_001, block=100) as stream:
        parts = [stream.read(37) for _ in range(81)]
    assert b"".join(parts) == CONTENT[1_003:4_000]
    assert fetch.fetched == 4_001 - 1_003
    assert max(end for _, end in fetch.ranges) == 4_001


def test_a_look_at_the_start_fetches_one_small_block():
    fetch = Fetches()
    with open_range(fetch, len(CONTENT), block=1_600) as stream:
        assert stream.read(16) == CONTENT[:16]
    assert fetch.ranges[0] == (0, 50)


def test_some_blocks_are_held_and_not_the_file():
    fetch = Fetches()
    stream = range_stream.RangeStream(fetch, len(CONTENT), 0, len(CONTENT), 10)
    buffer = bytearray(10)
    while stream.readinto(buffer):
        assert len(stream._held) <= 7
    stream.close()
    assert fetch.fetched == len(CONTENT)
