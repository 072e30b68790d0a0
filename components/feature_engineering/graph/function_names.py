"""Names in a saved graph that depend on the graph alone.

TensorFlow names functions by a counter of all tensors of the process, puts these names into those
of nodes and arguments, and stores functions in an order that follows from them. A graph that was
written after more batches of text, or as the second of a process, would have another digest.
"""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_NUMBERED = re.compile(r"(.+)_(\d+)")
_VALUES = "tensorflow.TensorProto"
"""The message that holds values, such as categories; all other texts are names."""

_CAPTURED = "_user_specified_name"
"""The attribute of a captured tensor that holds its number, for those who debug."""

Rename = Callable[[str], str]


def renumber(directory: Path) -> None:
    """Number the functions of a saved model from 0, and bring its fingerprint up to date.

    Args:
        directory: The saved model's directory.
    """
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.saved_model import fingerprinting_utils

    file = directory / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        library = graph.graph_def.library
        rename = renaming([function.signature.name for function in library.function])
        # The inner ones first: a map copies what it holds under a new key.
        for part in reversed(list(_messages(graph))):
            _rename_in(part, rename)
        functions = sorted(library.function, key=lambda function: str(function.signature.name))
        del library.function[:]
        library.function.extend(functions)
    file.write_bytes(model.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(str(directory))


def renaming(functions: Sequence[str]) -> Rename:
    """Return what numbers functions from 0, in the order of their numbers, wherever they are named.

    Args:
        functions: The names of the functions.

    Example:
        >>> rename = renaming(["__inference_pruned_812", "cond_97", "mine"])
        >>> rename("__inference_pruned_812"), rename("while_cond_97__result"), rename("cond_9")
        ('__inference_pruned_1', 'while_cond_0__result', 'cond_9')
    """
    found = [match for match in map(_NUMBERED.fullmatch, functions) if match]
    if not found:
        return lambda text: text
    ordered = sorted(found, key=lambda match: int(match[2]))
    names = {match[0]: f"{match[1]}_{place}" for place, match in enumerate(ordered)}
    # The longest first: a name may be within another.
    longest = sorted(names, key=len, reverse=True)
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, longest))})(?!\d)")
    return lambda text: pattern.sub(lambda match: names[match[0]], text)


def _messages(message: Any) -> Iterator[Any]:
    """Yield a message and those within it, without values."""
    if message.DESCRIPTOR.full_name == _VALUES:
        return
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if _is_map(field):
            held = field.message_type.fields_by_name["value"]
            parts = value.values() if held.message_type is not None else ()
        else:
            parts = value if field.is_repeated else (value,)
        for part in parts:
            yield from _messages(part)


def _rename_in(message: Any, rename: Rename) -> None:
    """Rename in the texts of a message itself, and in the keys of its maps."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            keys = field.message_type.fields_by_name["key"] if _is_map(field) else None
            if keys is not None and keys.type == keys.TYPE_STRING:
                _rename_keys(value, rename)
        elif field.type not in (field.TYPE_STRING, field.TYPE_BYTES):
            continue
        elif field.is_repeated:
            value[:] = [_renamed(each, rename) for each in value]
        else:
            setattr(message, field.name, _renamed(value, rename))


def _rename_keys(values: Any, rename: Rename) -> None:
    if _CAPTURED in values and values[_CAPTURED].s.isdigit():
        values[_CAPTURED].s = b""
    changed = {key: rename(key) for key in list(values)}
    changed = {key: new for key, new in changed.items() if key != new}
    # Copied first: a new key may be another one's old key.
    held = {key: copy.deepcopy(values[key]) for key in changed}
    for key in held:
        del values[key]
    for key, value in held.items():
        if hasattr(value, "CopyFrom"):
            values[changed[key]].CopyFrom(value)
        else:
            values[changed[key]] = value


def _renamed(value: Any, rename: Rename) -> Any:
    if isinstance(value, bytes):
        # One character for each byte, and back.
        return rename(value.decode("latin-1")).encode("latin-1")
    return rename(value)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
