import base64
import gzip
import struct

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.data_ingestion.readers.tfrecord_source import masked_crc


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def example(**features) -> bytes:
    """A tf.Example by hand, so that no TensorFlow is needed."""
    entries = b""
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        if values and isinstance(values[0], float):
            data = message(2, message(1, struct.pack(f"<{len(values)}f", *values)))
        elif values and isinstance(values[0], int):
            data = message(3, message(1, b"".join(varint(v & (2**64 - 1)) for v in values)))
        elif values:
            data = message(1, b"".join(message(1, v.encode()) for v in values))
        else:
            data = b""
        entries += message(1, message(1, name.encode()) + message(2, data))
    return message(1, entries)


def framed(records) -> bytes:
    out = b""
    for record in records:
        length = struct.pack("<Q", len(record))
        out += length + struct.pack("<I", masked_crc(length))
        out += record + struct.pack("<I", masked_crc(record))
    return out


RECORDS = [
    example(i=1, f=0.5, s="a", label=0),
    example(i=-2, s="ü", label=1),
    example(i=[], f=2.5, s="", label=1, late="x"),
]
EXPECTED = {
    "f": [0.5, None, 2.5],
    "i": [1, -2, None],
    "label": [0, 1, 1],
    "late": [None, None, "x"],
    "s": ["a", "ü", None],
}


WRITTEN_BY_TENSORFLOW = base64.b64decode(
    "KgAAAAAAAACujZH1CigKDQoBZhIIEgYKBAAAAD8KCgoBaRIFGgMKAQEKCwoBcxIGCgQKAsO8kO7KkCMAAAAAAAAAsJ93"
    "QwohChMKAWkSDhoMCgr+//////////8BCgoKAXMSBQoDCgFi07yOoQ=="
)
"""tf.io.TFRecordWriter's bytes for two examples."""


def test_what_tensorflow_wrote(run, tmp_path):
    (tmp_path / "data").write_bytes(WRITTEN_BY_TENSORFLOW)
    assert run(tmp_path / "data").table.to_pydict() == {
        "f": [0.5, None],
        "i": [1, -2],
        "s": ["ü", "b"],
    }
    # The other tests write files by hand; their framing is the same.
    assert (
        framed([example(f=0.5, i=1, s="ü"), example(i=-2, s="b")])[:12]
        == (WRITTEN_BY_TENSORFLOW[:12])
    )


@pytest.mark.parametrize("zipped", [False, True])
def test_examples(run, tmp_path, zipped):
    content = framed(RECORDS)
    path = tmp_path / "data_tfrecord-00000-of-00001"
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert run(path).table.to_pydict() == EXPECTED


def test_features_that_come_late(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "kfp_tabular.components.data_ingestion.readers.tfrecord_source._RECORDS_PER_BLOCK", 1
    )
    (tmp_path / "1").write_bytes(framed(RECORDS[:2]))
    (tmp_path / "2").write_bytes(framed(RECORDS[2:]))
    assert run(tmp_path / "[12]").table.to_pydict() == EXPECTED


def test_rejected_examples_know_their_number(run, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(framed([*RECORDS, example(i=5)]))
    got = run(path, label="label", max_rejected_fraction=0.5)
    assert [(row["line"], row["reason"]) for row in got.rejected] == [
        (4, "label 'label' is missing")
    ]


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (framed(RECORDS)[:-2], "record 3 is damaged: the file is truncated"),
        (framed(RECORDS)[:-30], "record 3 is damaged"),
        (flip(framed(RECORDS), 20), "record 1 is damaged: the checksum of its data"),
        (gzip.compress(framed(RECORDS))[:-12], "truncated|damaged"),
        (framed([example(a=[1, 2])]), "feature 'a' has 2 values"),
        (framed([example(a=1), example(a=0.5)]), 'feature "a"'),
        (framed([b"no example"]), "records 1 to 1 are not tf.Example"),
        (framed([example()]), "no examples with features"),
    ],
)
def test_bad_files(run, tmp_path, content, words):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as failure:
        run(path)
    assert str(path) in str(failure.value)


def test_a_feature_that_changes_its_type_in_a_file(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "kfp_tabular.components.data_ingestion.readers.tfrecord_source._RECORDS_PER_BLOCK", 1
    )
    (tmp_path / "1").write_bytes(framed([example(a=1), example(a="x")]))
    with pytest.raises(UserError, match=r"1: feature 'a' is .*binary here and int64 before"):
        run(tmp_path / "1")


def test_a_feature_that_is_text_in_one_file_and_a_number_in_another(run, tmp_path):
    (tmp_path / "1").write_bytes(framed([example(a=1, b=2)]))
    (tmp_path / "2").write_bytes(framed([example(a="7", b=0.5)]))
    got = run(tmp_path / "[12]")
    assert got.table.to_pydict() == {"a": [1, 7], "b": [2.0, 0.5]}


def test_features_with_several_values(run, tmp_path):
    records = [
        example(x=1, tags=["a", "b"], scores=[1.5, 2.0], at=[3, 4]),
        example(x=2, tags=[], scores=[0.1]),
        example(x=3, tags=["c"]),
    ]
    path = tmp_path / "data"
    path.write_bytes(framed(records))
    with pytest.raises(
        UserError, match=r"feature 'at' has 2 values in an example\. Add exclude="
    ) as e:
        run(path)
    assert '"at", "scores", "tags"' in str(e.value)
    got = run(path, exclude=["at"], nested={"tags": "bag", "scores": "flatten"})
    assert got.table.to_pydict() == {
        "scores_0": [1.5, pytest.approx(0.1), None],
        "scores_1": [2.0, None, None],
        "tags": ['["a","b"]', None, '["c"]'],
        "x": [1, 2, 3],
    }
