"""Streams of CSV as UTF-8."""

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers.csv_dialect import TextEncoding
from kfp_tabular.components.data_ingestion.readers.csv_stream import open_utf8, skip


@given(
    text=st.text("aé€\n", min_size=1, max_size=40),
    encoding=st.sampled_from(["cp1252", "utf-16", "utf-8"]),
    size=st.integers(1, 5),
    data=st.data(),
)
def test_reads_as_many_bytes_as_asked_whatever_the_encoding(
    tmp_path_factory, text, encoding, size, data
):
    path = tmp_path_factory.mktemp("data") / "places.csv"
    path.write_bytes(text.encode(encoding))
    wanted = text.encode()
    skipped = data.draw(st.integers(0, len(wanted)))
    with open_utf8(LocalFile("places.csv", path), TextEncoding.of(encoding)) as stream:
        skip(stream, skipped)
        parts = list(iter(lambda: stream.read(size), b""))
    assert b"".join(parts) == wanted[skipped:]
    assert all(len(part) <= size for part in parts)
