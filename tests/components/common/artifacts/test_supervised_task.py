import json

import pytest

from kfp_tabular.components.common.artifacts.supervised_task import TASK_KINDS, Task
from kfp_tabular.components.common.errors import UserError


@pytest.mark.parametrize(
    "task",
    [
        Task("binary", "betrügerisch?", ("0", "1"), (9, 1)),
        Task("multiclass", "label", ("a", "ß", "店"), (1, 2, 3)),
        Task("regression", "price"),
    ],
)
def test_a_task_is_loaded_as_it_was_saved(tmp_path, task):
    task.save(tmp_path)
    loaded = Task.load(tmp_path)
    assert loaded == task
    assert hash(loaded) == hash(task)


def test_there_are_three_kinds():
    assert TASK_KINDS == ("binary", "multiclass", "regression")


def test_a_task_that_is_not_there_is_an_error_of_the_user(tmp_path):
    with pytest.raises(UserError, match=r"task\.json: not found"):
        Task.load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff", b"null", json.dumps({"kind": "x"}).encode()]
)
def test_a_file_that_is_not_a_task_is_a_user_error(tmp_path, content):
    (tmp_path / "task.json").write_bytes(content)
    with pytest.raises(UserError, match="not a valid description of a task"):
        Task.load(tmp_path)
