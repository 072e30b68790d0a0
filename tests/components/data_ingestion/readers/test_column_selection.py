"""Which columns are read although they are excluded."""

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.readers import column_selection

EXCLUDED = ["customer", "sex", "amount", "shop", "day", "tips"]


def selected(**given):
    return column_selection.select(IngestionOptions("data", exclude=EXCLUDED, **given), [])


def test_columns_of_the_evaluation_are_read_although_excluded():
    found = selected(
        keep=["amount"],
        entity_columns=["customer"],
        fairness_columns=["sex"],
        slice_columns=["shop, day"],
    )
    assert sorted(found.exclude) == ["tips"]
    (note,) = found.notes
    assert note.code == "carried"
    assert "'customer', 'sex', 'amount', 'shop', 'day': read for the evaluation only" in str(note)
    assert "\n" not in str(note)


def test_without_them_nothing_is_told():
    found = selected(entity_columns=["other"])
    assert sorted(found.exclude) == sorted(EXCLUDED)
    assert found.notes == []


def test_an_excluded_column_must_exist_even_if_it_is_carried():
    with pytest.raises(UserError, match="exclude: the data have no column 'customer'"):
        selected(entity_columns=["customer"]).check(["tips", "sex", "amount", "shop", "day"])
