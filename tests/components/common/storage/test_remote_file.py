"""A file that is read by ranges ahead of its reader."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.storage import remote_file
from kfp_tabular.components.common.storage.remote_file import RemoteFile

CONTENT = bytes(range(256)) * 4
positions = st.integers(0, len(CONTENT))
ranges = st.tuples(positions, positions).map(lambda pair: (min(pair), max(pair)))


class Store:
    """Counts what is fetched."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.fetched: list[tuple[int, int]] = []

    def __call__(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.content)
        self.fetched.append((start, end))
        return self.content[start:end]


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@settings(deadline=None)
@given(
    announced=st.lists(st.lists(ranges, max_size=3), max_size=5),
    reads=st.lists(ranges, max_size=12),
    window=st.integers(1, 600),
    piece=st.integers(1, 300),
)
def test_reads_give_the_content_whatever_was_announced(threads, announced, reads, window, piece):
    store = Store()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote_file, "_PIECE_BYTES", piece)
        with RemoteFile(store, len(CONTENT), threads, window) as file:
            file.announce(announced)
            for start, end in reads:
                file.seek(start)
                assert file.read(end - start) == CONTENT[start:end]
                assert file.tell() == end


def test_announced_ranges_are_fetched_once_and_joined(threads):
    store = Store()
    file = RemoteFile(store, len(CONTENT), threads)
    groups = [[(0, 10), (10, 30)], [(30, 50)], [(90, 95)]]
    file.announce(groups)
    for group in groups:
        for start, end in group:
            file.seek(start)
            file.read(end - start)
    assert sorted(store.fetched) == [(0, 30), (30, 50), (90, 95)]


def test_no_more_than_the_window_is_fetched_ahead(threads):
    store = Store()
    file = RemoteFile(store, len(CONTENT), threads, window=250)
    file.announce([[(start, start + 100)] for start in range(0, 1000, 100)])
    threads.submit(lambda: None).result()
    assert len(store.fetched) <= 2
    file.seek(500)
    file.read(10)
    # Those before the one in use and its predecessor are let go.
    file.close()
    assert max(end for _, end in store.fetched) <= 800


def test_it_is_a_file(threads):
    file = RemoteFile(Store(), len(CONTENT), threads)
    assert (file.readable(), file.seekable(), file.size()) == (True, True, len(CONTENT))
    assert file.seek(-6, io.SEEK_END) == len(CONTENT) - 6
    assert file.read() == CONTENT[-6:]
    assert file.read() == b""
    file.seek(2)
    file.seek(3, io.SEEK_CUR)
    assert file.read(1) == CONTENT[5:6]


def test_an_error_of_the_store_reaches_the_reader(threads):
    def refuse(start, end):
        raise OSError("connection reset")

    file = RemoteFile(refuse, 100, threads)
    file.announce([[(0, 50)]])
    for start in (0, 60):
        file.seek(start)
        with pytest.raises(OSError, match="connection reset"):
            file.read(10)


def test_threads_read_at_the_same_time(threads):
    store = Store()
    file = RemoteFile(store, len(CONTENT), threads, window=200)
    file.announce([[(start, start + 50)] for start in range(0, 1000, 50)])
    lock, wrong = threading.Lock(), []

    def read(first):
        for start in range(first, 1000, 40):
            with lock:
                file.seek(start)
                found = file.read(10)
            if found != CONTENT[start : start + 10]:
                wrong.append(start)

    readers = [threading.Thread(target=read, args=(first,)) for first in range(0, 40, 10)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert not wrong
