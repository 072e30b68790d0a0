"""States of accumulators as bytes: named numpy arrays, Arrow tables and plain values.

The bytes are an Arrow IPC stream with a row for each part, so reading copies nothing and runs no
code, as unpickling would.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

_SCHEMA = pa.schema([("name", pa.string()), ("form", pa.string()), ("data", pa.large_binary())])
_TABLE, _VALUE, _BYTES = "table", "value", "bytes"


def pack(parts: Mapping[str, Any]) -> bytes:
    """Return named parts as bytes.

    Args:
        parts: Numpy arrays of numbers, Arrow tables, bytes, or values that JSON can hold.

    Example:
        >>> found = unpack(pack({"rows": 3, "sums": np.array([0.5, np.inf])}))
        >>> found["rows"], found["sums"].tolist()
        (3, [0.5, inf])
    """
    rows = [(name, *_packed(part)) for name, part in parts.items()]
    batch = pa.RecordBatch.from_arrays(
        [pa.array([row[at] for row in rows], field.type) for at, field in enumerate(_SCHEMA)],
        schema=_SCHEMA,
    )
    return _stream(pa.Table.from_batches([batch]))


def unpack(state: bytes) -> dict[str, Any]:
    """Return the parts that `pack` wrote. Arrays can be changed in place."""
    with pa.ipc.open_stream(pa.py_buffer(state)) as reader:
        table = reader.read_all()
    found = {}
    for name, form, data in zip(
        table["name"].to_pylist(), table["form"].to_pylist(), table["data"], strict=True
    ):
        found[name] = _unpacked(form, data)
    return found


def _packed(part: Any) -> tuple[str, bytes]:
    if isinstance(part, np.ndarray):
        form = json.dumps([part.dtype.str, part.shape])
        return form, np.ascontiguousarray(part).tobytes()
    if isinstance(part, pa.Table):
        return _TABLE, _stream(part)
    if isinstance(part, bytes):
        return _BYTES, part
    return _VALUE, json.dumps(part).encode()


def _unpacked(form: str, data: pa.LargeBinaryScalar) -> Any:
    if form == _BYTES:
        return data.as_py()
    if form == _VALUE:
        return json.loads(data.as_py())
    buffer = data.as_buffer()
    if form == _TABLE:
        with pa.ipc.open_stream(buffer) as reader:
            return reader.read_all()
    kind, shape = json.loads(form)
    if not buffer.size:
        return np.empty(shape, kind)
    return np.frombuffer(buffer, kind).reshape(shape).copy()


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
