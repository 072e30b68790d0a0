import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers.file_formats import detect


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


def test_other_formats_are_named(file):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.csv", "a\n1\n")
    file.path.write_bytes(archive.getvalue())
    with pytest.raises(UserError, match="gs://bucket/data.bin: the file is a zip archive"):
        detect(file)


def test_formats_do_not_mix(run, tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "in" / "1.parquet")
    (tmp_path / "in" / "README.md").write_text("About\n")
    with pytest.raises(UserError, match=r"README\.md.*parquet"):
        run(tmp_path / "in" / "*", data_format="parquet")
    with pytest.raises(UserError, match="Use a glob"):
        run(tmp_path / "in")
