"""Names of the SavedModel's inputs."""

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.training.model import saved_model


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=30))
def test_input_names_are_distinct_and_fit(names):
    found = saved_model.input_names(names)
    assert list(found) == names
    assert len({name.casefold() for name in found.values()}) >= len(
        {name for name in names if not name.isidentifier()}
    )
    assert len(set(found.values())) == len(names)
    for name, given_name in found.items():
        assert given_name.isascii()
        assert given_name.isidentifier()
        if name.isascii() and name.isidentifier() and name[0] != "_":
            assert given_name == name
