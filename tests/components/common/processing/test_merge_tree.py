"""The shape in which accumulators are merged."""

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.merge_tree import FAN_IN, MergeTree


class Text:
    """An accumulator that shows the order and shape of merging."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def add(self, batch: str) -> None:
        self.text += batch

    def merge(self, other: "Text") -> None:
        self.text = f"({self.text} {other.text})"

    def state(self) -> bytes:
        return self.text.encode()

    def from_state(self, state: bytes) -> "Text":
        return Text(state.decode())

    def result(self) -> str:
        return self.text


def merged(parts: list[Text]) -> Text | None:
    tree = MergeTree[str, str]()
    for part in parts:
        tree.add(part)
    total = tree.total()
    assert total is None or isinstance(total, Text)
    return total


@given(count=st.integers(1, 300), power=st.integers(0, 4))
def test_runs_that_are_merged_apart_give_the_same_shape(count: int, power: int) -> None:
    whole = merged([Text(str(at)) for at in range(count)])
    length = FAN_IN**power

    runs = [
        merged([Text(str(at)) for at in range(start, min(start + length, count))])
        for start in range(0, count, length)
    ]
    again = merged([run for run in runs if run is not None])

    assert whole is not None
    assert again is not None
    assert again.text == whole.text
    assert whole.text.replace("(", "").replace(")", "").split() == [str(at) for at in range(count)]


def test_nothing_is_merged_to_nothing() -> None:
    assert merged([]) is None
