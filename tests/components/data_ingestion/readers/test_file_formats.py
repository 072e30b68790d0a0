import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.options import CsvOptions
from kfp_tabular.components.data_ingestion.readers.file_formats import detect, open_source
from kfp_tabular.components.data_ingestion.readers.source import blocks


def zipped(*names: str, text: bytes = b"a\n1\n") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zip_file:
        for name in names:
            zip_file.writestr(name, text)
    return archive.getvalue()


@pytest.fixture
def file(tmp_path):
    return LocalFile("gs://bucket/data.bin", tmp_path / "data.bin")


def test_the_content_tells_the_format(file):
    pq.write_table(pa.table({"a": [1]}), file.path)
    assert detect(file) == "parquet"
    for text in (b"", b"a,b\n1,2\n", "größe\n".encode("utf-16"), b"12345678901234\n" * 3):
        file.path.write_bytes(text)
        assert detect(file) == "csv"
        file.path.write_bytes(gzip.compress(text))
        assert detect(file) == "csv"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped("a.csv", "b.csv"), r"the zip archive holds 2 files \(a.csv, b.csv\), expected one"),
        (zipped(), "the zip archive holds 0 files, expected one"),
        (zipped("xl/workbook.xml", "[Content_Types].xml"), "an Excel workbook, which is not"),
        (zipped("mimetype", "content.xml"), "an OpenDocument file, which is not"),
        (zipped("a.csv")[:40], "the zip data are truncated or damaged"),
        (b"\xd0\xcf\x11\xe0 and more", "an Excel workbook, which is not"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive, which is not"),
        (bz2.compress(b"PAR1" * 9), "Parquet inside bzip2. Decompress it"),
        (bz2.compress(bytes(range(256)) * 99)[:200], "bzip2 data are truncated or damaged"),
        (lzma.compress(b"a,b\n" * 99)[:-9] + b"123456789", "xz data are truncated or damaged"),
        (b"\x28\xb5\x2f\xfd but not really", "zstd data are truncated or damaged"),
    ],
)
def test_what_cannot_be_read_is_named(file, content, words):
    file.path.write_bytes(content)
    with pytest.raises(UserError, match=f"^gs://bucket/data.bin: .*{words}"):
        open_source([file], "auto", CsvOptions())


@pytest.mark.parametrize("method", ["gzip", "bz2", "xz", "zstd", "lz4", "zip"])
def test_compressed_files_by_content(file, method):
    text = ("a,b\n" + "1,2\n" * 5000).encode()
    if method == "zip":
        content = zipped("__MACOSX/._a.csv", "a.csv", text=text)
    elif method == "xz":
        content = lzma.compress(text)
    else:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, method) as stream:
            stream.write(text)
        content = sink.getvalue().to_pybytes()
    file.path.write_bytes(content)
    source = open_source([file], "auto", CsvOptions())
    assert source.columns == ["a", "b"]
    assert sum(block.parse().rows for block in blocks(source)) == 5000


def test_formats_do_not_mix(run, tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "in" / "1.parquet")
    (tmp_path / "in" / "README.md").write_text("About\n")
    with pytest.raises(UserError, match=r"README\.md.*parquet"):
        run(tmp_path / "in" / "*", data_format="parquet")
    with pytest.raises(UserError, match="Use a glob"):
        run(tmp_path / "in")
