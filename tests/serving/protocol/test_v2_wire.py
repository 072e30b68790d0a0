"""A message's values are counted before it is parsed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v2_wire import check_message_size


def check(content, max_rows=1000, max_values=10_000):
    check_message_size(content, max_rows, max_values)


def message(**contents):
    tensor = {"name": "hour", "datatype": "INT64", "shape": [1000], "contents": contents}
    return messages.ModelInferRequest(model_name="fraud", inputs=[tensor] * 3)


@pytest.mark.parametrize(
    "contents",
    [
        {"int64_contents": [2**62] * 1000},
        {"int64_contents": [-1] * 1000},
        {"int_contents": [-1] * 1000},
        {"uint64_contents": [2**64 - 1] * 1000},
        {"bool_contents": [True] * 1000},
        {"fp32_contents": [1.5] * 1000},
        {"fp64_contents": [1.5] * 1000},
        {"bytes_contents": [b"B" * 500] * 1000},
    ],
)
def test_as_many_values_as_rows_are_accepted(contents):
    check(message(**contents).SerializeToString())
    more = {name: [*values, values[0]] for name, values in contents.items()}
    if not {"bool_contents", "fp32_contents", "fp64_contents"} & contents.keys():
        with pytest.raises(RequestError, match="1001 rows|rows, this server accepts 1000"):
            check(message(**more).SerializeToString())


def field(number, content):
    length, size = b"", len(content)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


HOSTILE = {
    "empty inputs": b"\x2a\x00" * 2_000_000,
    "empty outputs": b"\x32\x00" * 2_000_000,
    "empty raw contents": b"\x3a\x00" * 2_000_000,
    "empty parameters": b"\x22\x00" * 2_000_000,
    "shapes of zeros": field(5, b"\x18\x00" * 2_000_000),
    "parameters of an input": field(5, b"\x22\x00" * 2_000_000),
    "contents again and again": field(5, b"\x2a\x00" * 2_000_000),
    "empty texts": field(5, field(5, b"\x42\x00" * 2_000_000)),
    "zeros one by one": field(5, field(5, b"\x18\x00" * 2_000_000)),
    "packed zeros": field(5, field(5, field(3, bytes(4_000_000)))),
    "packed ones of 32 bits": field(5, field(5, field(2, b"\x01" * 4_000_000))),
    "packed zeros in pieces": field(5, field(5, field(3, bytes(500)) * 5_000)),
    "texts over inputs": field(5, field(5, b"\x42\x00" * 900)) * 2_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_small_values_by_the_million_are_rejected_at_once(name):
    begin = time.process_time()
    with pytest.raises(RequestError) as refused:
        check(HOSTILE[name])
    assert refused.value.status == 413
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    "content",
    [
        b"\x2a",
        b"\x2a\x05ab",
        b"\x2a\x80",
        b"\x2a" + b"\x80" * 11,
        b"\xff" * 20,
        b"\x2b\x2c",
        b"\x08" + b"\x80" * 10,
        b"\x09abc",
        field(5, b"\x2a\x7f"),
    ],
)
def test_what_is_no_message_is_rejected(content):
    with pytest.raises(RequestError, match="not a valid ModelInferRequest"):
        check(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(content):
    try:
        check(content)
    except RequestError as error:
        assert error.status in {400, 413}
