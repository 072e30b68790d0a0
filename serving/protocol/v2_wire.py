"""The number of values in a `ModelInferRequest`, counted before the message is parsed.

Two bytes of a message, an empty text or an input without a field, become up to a hundred bytes of
memory. So a message's size does not bound what parsing it takes; the number of its fields does. The
walk touches only what carries a number of values: the message's fields, those of its inputs, and
those of their contents.
"""

from collections.abc import Iterator

from kfp_tabular.serving.protocol.request_error import RequestError, too_many_rows

INVALID = "the request is not a valid ModelInferRequest message."

_INPUTS, _CONTENTS = 5, 5
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PACKED_VARINTS = frozenset((2, 3, 4, 5))
"""The fields of contents whose packed values may have one byte and become up to eight."""
_LAST_BYTES = bytes(range(128))
"""The bytes that end a varint."""
_LONGEST_VARINT = 10


def check_message_size(content: bytes, max_rows: int, max_values: int) -> None:
    """Check that a message does not hold more values than are accepted.

    Args:
        content: The bytes of a `ModelInferRequest`.
        max_rows: The most values of a tensor.
        max_values: The most values and other fields.

    Raises:
        RequestError: If it holds more, or is not a message.

    Example:
        >>> check_message_size(bytes([0x2A, 0]) * 100, max_rows=10, max_values=100)
        >>> check_message_size(bytes([0x2A, 0]) * 101, max_rows=10, max_values=100)
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: the request has more than 100
        values, the limit of this server (--max-values); split the request.
    """
    found = 0
    for number, wire, begin, end in _fields(content, 0, len(content)):
        found += 1
        if number == _INPUTS and wire == _BYTES:
            found += _input_fields(content, begin, end, max_rows, max_values - found)
        if found > max_values:
            raise _too_many_values(max_values)


def _input_fields(content: bytes, begin: int, end: int, max_rows: int, most: int) -> int:
    """Return the number of an input's fields and values, or more than `most`."""
    found = rows = 0
    for number, wire, start, stop in _fields(content, begin, end):
        found += 1
        if number == _CONTENTS and wire == _BYTES:
            for field, kind, first, last in _fields(content, start, stop):
                if kind == _BYTES and field in _PACKED_VARINTS:
                    packed = content[first:last]
                    rows += len(packed) - len(packed.translate(None, _LAST_BYTES))
                else:
                    rows += 1
                if rows > max_rows:
                    raise too_many_rows(rows, max_rows)
        if found + rows > most:
            break
    return found + rows


def _fields(content: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Return the number, the wire type and the range of each field."""
    while position < end:
        tag = content[position]
        position += 1
        if tag > 127:
            tag, position = _varint(content, position - 1, end)
        wire = tag & 7
        if wire == _BYTES:
            if position >= end:
                raise RequestError(INVALID)
            length = content[position]
            position += 1
            if length > 127:
                length, position = _varint(content, position - 1, end)
            begin, position = position, position + length
        elif wire == _VARINT:
            begin = position
            _, position = _varint(content, position, end)
        elif wire in (_FIXED64, _FIXED32):
            begin, position = position, position + (8 if wire == _FIXED64 else 4)
        else:
            raise RequestError(INVALID)
        if position > end:
            raise RequestError(INVALID)
        yield tag >> 3, wire, begin, position


def _varint(content: bytes, position: int, end: int) -> tuple[int, int]:
    """Return a number and the position behind it."""
    number = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if position >= end:
            break
        byte = content[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise RequestError(INVALID)


def _too_many_values(most: int) -> RequestError:
    return RequestError(
        f"the request has more than {most} values, the limit of this server (--max-values); split "
        "the request.",
        status=413,
        reason="size",
    )
