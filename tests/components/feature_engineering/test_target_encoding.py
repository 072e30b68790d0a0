import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering import target_encoding


@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=20, unique=True))
def test_encoding_gives_the_position_of_the_class(values):
    task = Task("multiclass", "y", tuple(str(value) for value in sorted(values)), ())
    for kind in (pa.int64(), pa.float64()):
        encoded = target_encoding.encode(pa.array(values, kind), task)
        assert [task.classes[index] for index in encoded] == [str(value) for value in values]


def test_encoding_refuses_an_unknown_class():
    with pytest.raises(UserError, match="1 rows have a class that the task lacks, such as '7'"):
        target_encoding.encode(pa.array([0, 7]), Task("binary", "y", ("0", "1")))
