"""Names of the SavedModel's inputs."""

import keyword

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.training.model import saved_model

WORDS = st.sampled_from(["class", "from", "None", "Age", "age", "AGE", "self", "a b", "a_b", "é"])


@given(st.lists(WORDS | st.text(max_size=12), unique=True, max_size=30))
def test_input_names_are_distinct_and_fit(names):
    found = saved_model.input_names(names)
    assert list(found) == names
    assert len({name.casefold() for name in found.values()}) == len(names)
    for name in found.values():
        assert name.isascii()
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert name not in {"self", "args", "kwargs"}


def test_names_that_fit_are_kept():
    names = ["age", "a_b", "probabilities", "examples", "input_1"]
    assert saved_model.input_names(names) == {name: name for name in names}
