"""Request bodies that cost a server as much as possible, for tests and the benchmark.

Each is a POST to the model `fraud` of the tests. Their sizes are about `size` bytes; those for a
benchmark are as large as the server accepts.
"""

import contextlib
import http.client
import json
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

V1 = "/v1/models/fraud:predict"
V2 = "/v2/models/fraud/infer"
LENGTH = "Inference-Header-Content-Length"
SECRET = "4111-1111-geheim"

UNITS = (
    *("[]", "{}", '""', "0", "null", "true", "1.5", "-1e-7", "123456789012", '"é"', '"\\u0000"'),
    *("[0]", "[[]]", "[[[[[]]]]]", '{"a":0}', '{"":{}}', '{"amount":1,"amount":2}'),
    *(f'"{SECRET}"', '"\\ud83d\\ude00"', '{"amount":[[]]}', '{"name":"amount"}'),
)
"""JSON values that take few bytes of text and many of memory."""

WRAPPERS = {
    "v1 instances": (V1, '{"instances":[', "]}"),
    "v1 beside instances": (V1, '{"instances":[{"amount":1,"商户":"x"}],"note":[', "]}"),
    "v1 in a row": (V1, '{"instances":[{"amount":1,"商户":"x","customer":[', "]}]}"),
    "v1 root": (V1, "[", "]"),
    "v2 inputs": (V2, '{"inputs":[', "]}"),
    "v2 data": (V2, '{"inputs":[{"name":"amount","shape":[1],"datatype":"FP32","data":[', "]}]}"),
    "v2 shape": (V2, '{"inputs":[{"name":"amount","datatype":"FP32","data":[1],"shape":[', "]}]}"),
    "v2 outputs": (V2, '{"inputs":[],"outputs":[', "]}"),
}


class Body(NamedTuple):
    """A hostile request.

    Attributes:
        name: What it is.
        path: Where it goes.
        make: Makes the body; it is large.
        headers: Headers besides the length.
    """

    name: str
    path: str
    make: Callable[[], bytes]
    headers: dict[str, str] | None = None


def bodies(size: int) -> Iterator[Body]:
    """Return all bodies, about 250."""
    for wrapper, (path, begin, end) in WRAPPERS.items():
        for unit in UNITS:
            yield Body(f"{wrapper}: {unit}", path, _filled(begin, unit, end, size))
    for name, make in _documents(size).items():
        for path in (V1, V2):
            yield Body(f"{path[1:3]} {name}", path, make)
    yield from _binary(size)


def worst(size: int) -> Iterator[Body]:
    """Return those that take the most memory or time."""
    units = ("[]", "{}", "[[[[[]]]]]", '{"":{}}', '{"a":0}', '"é"')
    for wrapper in ("v1 instances", "v2 data"):
        path, begin, end = WRAPPERS[wrapper]
        for unit in units:
            yield Body(f"{wrapper}: {unit}", path, _filled(begin, unit, end, size))
    documents = _documents(size)
    for name in ("unique keys", "text with an emoji", "escapes", "only commas", "spaces"):
        yield Body(f"v1 {name}", V1, documents[name])
    yield from _binary(size)


def ask(
    address: tuple[str, int], body: Body, content: bytes | None = None, timeout: float = 120
) -> tuple[int, bytes]:
    """Send a body, and return the status and the response."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        sent = body.make() if content is None else content
        # The server may answer before the end; the response is there then.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", body.path, sent, body.headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def legal_rows(rows: int, text_bytes: int = 8) -> Body:
    """Return a valid request of many rows."""

    def make() -> bytes:
        text = "Weg 1, [x] " * (text_bytes // 11 + 1)
        row = {"amount": 3.25, "商户": text[:text_bytes], "hour": 7, "rate": 0.5, "customer": "c-1"}
        one = json.dumps(row, ensure_ascii=False).encode()
        return b'{"instances":[' + b",".join([one] * rows) + b"]}"

    return Body(f"{rows} rows, texts of {text_bytes} bytes", V1, make)


def legal_binary(rows: int, text_bytes: int = 8) -> Body:
    """Return a valid request of many rows as binary tensors."""
    text = struct.pack("<I", text_bytes) + b"x" * text_bytes
    tensors = [
        ("amount", "FP32", struct.pack("<f", 3.25) * rows),
        ("hour", "INT64", struct.pack("<q", 7) * rows),
        ("商户", "BYTES", text * rows),
    ]
    return _binary_body(f"binary, {rows} rows, texts of {text_bytes} bytes", tensors, [rows])


def _filled(begin: str, unit: str, end: str, size: int) -> Callable[[], bytes]:
    def make() -> bytes:
        one = unit.encode()
        count = max(1, (size - len(begin) - len(end)) // (len(one) + 1))
        return b"%s%s%s" % (begin.encode(), b",".join([one] * count), end.encode())

    return make


def _documents(size: int) -> dict[str, Callable[[], bytes]]:
    """Return bodies that are large as a whole."""
    half, row = size // 2, b'{"amount":1,"\xe5\x95\x86\xe6\x88\xb7":"x"}'

    def within(begin: bytes, filling: bytes, end: bytes) -> Callable[[], bytes]:
        return lambda: begin + filling * (size // len(filling)) + end

    text, end = b'{"instances":[{"amount":1,"\xe5\x95\x86\xe6\x88\xb7":"', b'"}]}'
    return {
        "only opening brackets": lambda: b"[" * size,
        "only opening braces": lambda: b'{"a":' * (size // 5),
        "nested lists": lambda: b"[" * half + b"]" * half,
        "nested objects": lambda: b'{"a":' * (size // 6) + b"0" + b"}" * (size // 6),
        "nested 1000 deep": lambda: b'{"instances":[' + b"[" * 1000 + b"]" * 1000 + b"]}",
        "text": within(text, b"a", end),
        "text of two bytes": within(text, "é".encode(), end),
        "text with an emoji": lambda: text + b"a" * size + "😀".encode() + end,
        "escapes": within(text, b"\\u0000", end),
        "escaped pairs": within(text, b"\\ud83d\\ude00", end),
        "escaped quotes": within(text, b'\\"', end),
        "backslashes": within(text, b"\\\\", end),
        "brackets in a text": within(text, b",[{", end),
        "lone surrogates": within(text, b"\\ud800", end),
        "invalid UTF-8": within(text, b"\xff", end),
        "NUL bytes": lambda: bytes(size),
        "long key": within(b'{"instances":[{"', b"k", b'":1}]}'),
        "many keys": lambda: b'{"instances":[{' + _unique_keys(size) + b"}]}",
        "unique keys": lambda: b"{" + _unique_keys(size) + b"}",
        "one key again and again": within(b'{"instances":[{', b'"amount":1,', b'"amount":1}]}'),
        "instances again and again": within(b"{", b'"instances":[0],', b'"instances":[]}'),
        "digits": within(b'{"instances":[{"amount":', b"9", b"}]}"),
        "decimals": within(b'{"instances":[{"amount":0.', b"9", b"}]}"),
        "exponent": within(b'{"instances":[{"amount":1e', b"9", b"}]}"),
        "long numbers": within(b'{"instances":[', b"9" * 5000 + b",", b"0]}"),
        "spaces": within(b'{"instances":[', b" ", row + b"]}"),
        "only commas": within(b'{"instances":[', b",", b"]}"),
        "only quotes": within(b"", b'"', b""),
        "unfinished text": within(b'{"instances":["', b"a", b""),
        "not a number": within(b"[", b"NaN,", b"0]"),
        "rows and then garbage": lambda: (
            b'{"instances":[' + b",".join([row] * 1000) + b"]}" + b"x" * size
        ),
        "one row too many": lambda: b'{"instances":[' + b",".join([row] * 10_001) + b"]}",
    }


def _unique_keys(size: int) -> bytes:
    return b",".join(b'"%d":0' % number for number in range(size // 13))


def _binary(size: int) -> Iterator[Body]:
    """Return bodies with binary tensors."""
    empty = bytes(size)
    texts = empty[: size // 2]
    one_text = struct.pack("<I", size) + empty
    million = size // 4
    amount = ("amount", "FP32", bytes(4))
    for name, tensors, shape in (
        ("empty texts for one row", [("商户", "BYTES", empty)], [1]),
        ("empty texts for [1, 1]", [("商户", "BYTES", empty)], [1, 1]),
        ("empty texts, many rows", [("商户", "BYTES", empty)], [million]),
        ("empty texts for 10000 rows", [("商户", "BYTES", empty)], [10_000]),
        ("empty texts for an ignored tensor", [("customer", "BYTES", empty), amount], [1]),
        ("empty texts, no rows", [("商户", "BYTES", empty)], [0]),
        ("one text for an ignored tensor", [("customer", "BYTES", one_text), amount], [1]),
        ("a text that is cut off", [("商户", "BYTES", one_text[:-1])], [1]),
        ("a text of 4 GiB", [("商户", "BYTES", b"\xff\xff\xff\xff" + empty)], [1]),
        ("numbers for one row", [("amount", "FP32", empty)], [1]),
        ("numbers, many rows", [("amount", "FP32", empty)], [million]),
        ("booleans for a number", [("hour", "BOOL", b"\xff" * 100)], [100]),
        ("the same tensor twice", [("amount", "FP32", empty[: size // 2])] * 2, [1]),
        ("the same tensor 1000 times", [amount] * 1000, [1]),
        ("two names of one tensor", [("商户", "BYTES", texts), ("feature_3", "BYTES", texts)], [1]),
        ("a shape of 2**40 rows", [("amount", "FP32", empty)], [2**40]),
        ("a negative shape", [("amount", "FP32", empty)], [-1]),
        ("a shape of a thousand dimensions", [("amount", "FP32", empty)], [1] * 1000),
        ("text that is not UTF-8", [("商户", "BYTES", b"\2\0\0\0\xff\xff"), amount], [1]),
        ("NaN for a required number", [("amount", "FP32", b"\0\0\xc0\x7f")], [1]),
        ("an infinite number", [("amount", "FP32", b"\0\0\x80\x7f"), amount], [1]),
    ):
        yield _binary_body(f"binary: {name}", tensors, shape)
    for length in ("0", "-1", str(size * 2), "9" * 5000, "x", "1e3"):
        yield Body(f"length {length[:10]}", V2, lambda: empty, {LENGTH: length})


def _binary_body(name: str, tensors: list[tuple[str, str, bytes]], shape: list[int]) -> Body:
    inputs = [
        {
            "name": name,
            "shape": shape,
            "datatype": datatype,
            "parameters": {"binary_data_size": len(content)},
        }
        for name, datatype, content in tensors
    ]
    head = json.dumps({"inputs": inputs}).encode()
    return Body(
        name,
        V2,
        lambda: head + b"".join(content for _, _, content in tensors),
        {LENGTH: str(len(head))},
    )
