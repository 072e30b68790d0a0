import errno
import logging
import os

import pytest

from kfp_tabular.components.common.errors import (
    UserError,
    closest,
    find_user_error,
    reported_to_user,
)


def test_a_user_error_is_one_line_and_code_2(caplog):
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(SystemExit) as caught,
        reported_to_user(),
    ):
        raise UserError("data.csv: no column\n   'label'.")
    assert caught.value.code == 2
    assert [record.getMessage() for record in caplog.records] == [
        "kfp-tabular: error: data.csv: no column 'label'."
    ]


def test_a_reported_user_error_is_found_in_a_log(caplog):
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit), reported_to_user():
        raise UserError("data.csv: no column 'label'.")
    log = ["epoch 1", f"2026-11-23 ERROR {caplog.messages[0]}", "Traceback", ""]
    assert find_user_error(log) == "data.csv: no column 'label'."
    assert find_user_error(["kfp-tabular: error: the first", *log]) == log[1][37:]
    assert find_user_error(["error: something else"]) == ""


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), SystemExit(3)])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, reported_to_user():
        raise error
    assert caught.value is error


def test_success_passes_in_silence(caplog):
    with reported_to_user():
        pass
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Lable", " Did you mean 'label'?"),
        ("TIPS", " Did you mean 'tips' or 'tip'?"),
        ("nothing like it", ""),
        ("", ""),
    ],
)
def test_the_closest_names_are_given_as_they_are_written(name, expected):
    assert closest(name, ["label", "tips", "tip", "fare"]) == expected


def test_at_most_so_many_names_are_given():
    names = [f"column_{number}" for number in range(9)]
    assert closest("column_", names, most=2).count("column_") == 2


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on device. Free space there"),
        (errno.EROFS, "read-only file system. Give another path"),
        (errno.EACCES, "permission denied. Give another path"),
    ],
)
def test_a_disk_that_cannot_be_written_is_one_line(caplog, number, words):
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as caught, reported_to_user():
        raise OSError(number, os.strerror(number), b"/data/caf\xe9")
    assert caught.value.code == 2
    assert find_user_error(caplog.messages).startswith(f"/data/caf\\xe9: {words}")


def test_other_errors_of_the_system_pass():
    with pytest.raises(OSError, match="Input/output"), reported_to_user():
        raise OSError(errno.EIO, os.strerror(errno.EIO))
