"""Names of models."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.deployment.options import check_model_name

letters = string.ascii_lowercase + string.digits


@given(st.text(letters + "-", min_size=1, max_size=50))
def test_names_of_lower_case_letters_digits_and_inner_hyphens_are_fit(name):
    if name.startswith("-") or name.endswith("-"):
        with pytest.raises(ValueError, match="expected at most 50"):
            check_model_name(name)
    else:
        check_model_name(name)


@pytest.mark.parametrize("name", ["", "Taxi", "a_b", "a/b", "..", "a b", "ü", "a" * 51, "a\n"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="expected at most 50"):
        check_model_name(name)
