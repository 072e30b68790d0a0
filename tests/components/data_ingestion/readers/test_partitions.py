from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers.partitions import partitions


def of(uri, *files):
    found = partitions(uri, [LocalFile(file, Path("x")) for file in files])
    return [dict(found[file]) for file in files]


@pytest.mark.parametrize(
    ("uri", "file", "expected"),
    [
        ("data", "data/a=1/b=x/0.csv", {"a": "1", "b": "x"}),
        ("data/", "data/a=1/0.csv", {"a": "1"}),
        ("./data", "data/a=1/0.csv", {"a": "1"}),
        (".", "a=1/0.csv", {"a": "1"}),
        ("/data/a=1", "/data/a=1/b=2/0.csv", {"b": "2"}),
        ("/data/a=1/0.csv", "/data/a=1/0.csv", {}),
        ("file:///data", "/data/a=1/0.csv", {"a": "1"}),
        ("/data/a=*/0.csv", "/data/a=1/0.csv", {"a": "1"}),
        ("/data/a=1/**/*.csv", "/data/a=1/b=2/c/0.csv", {"b": "2"}),
        ("*/a=*/0.csv", "x/a=1/0.csv", {"a": "1"}),
        ("/*/0.csv", "/a=1/0.csv", {"a": "1"}),
        ("/data/[x]", "/data/[x]/a=1/0.csv", {"a": "1"}),
        ("s3://bucket/data", "s3://bucket/data/a=1/0.csv", {"a": "1"}),
        ("s3://bucket", "s3://bucket/a=1/0.csv", {"a": "1"}),
        ("gs://bucket/x/a=*/*", "gs://bucket/x/a=1/0.csv", {"a": "1"}),
        ("gs://bucket/a=*/*", "gs://bucket/a=1/0.csv", {"a": "1"}),
        ("data", "data/a=/0.csv", {"a": None}),
        ("data", "data/a=__HIVE_DEFAULT_PARTITION__/0.csv", {"a": None}),
        ("data", "data/a=b=c/0.csv", {"a": "b=c"}),
        ("data", "data/plain/=x/0.csv", {}),
        ("data", "data/b=2.csv", {}),
    ],
)
def test_folders_below_the_uri(uri, file, expected):
    assert of(uri, file) == [expected]


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1, max_size=3))
def test_names_and_values_are_percent_decoded(columns):
    folders = "/".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in columns.items())
    assert of("data", f"data/{folders}/0.csv") == [columns]
