"""The document of column formats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    NumberFormat,
    TimeFormat,
)

_texts = st.lists(st.text(max_size=5), max_size=3).map(tuple)
_formats = st.builds(
    ColumnFormat,
    kind=st.sampled_from(["number", "time", "text"]),
    number=st.none() | st.builds(NumberFormat, units=_texts, percent=st.booleans()),
    time=st.none() | st.builds(TimeFormat, formats=_texts, unit=st.text(max_size=5)),
    boolean=st.none() | st.builds(BooleanFormat, true=_texts, false=_texts),
    missing=_texts,
)


@given(_formats)
def test_a_format_survives_its_document(wanted):
    assert column_format.from_document(column_format.as_document(wanted)) == wanted


def test_an_artifact_without_the_document_has_no_formats(tmp_path):
    assert column_format.read(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"columns": {"a": {}}}', '{"columns": {"a": 1}}'])
def test_another_document_is_refused(tmp_path, text):
    (tmp_path / "_columns.json").write_text(text)
    with pytest.raises(UserError, match=r"columns\.json: not a document"):
        column_format.read(tmp_path)
