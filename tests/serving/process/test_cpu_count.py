import os

import pytest

from kfp_tabular.serving.process.cpu_count import available_cpus

USABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", USABLE),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", min(2, USABLE)),
        ("9999900000 100000", USABLE),
        ("nonsense", USABLE),
        ("0 0", USABLE),
    ],
)
def test_the_containers_quota_limits_the_cpus(tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert available_cpus(tmp_path) == expected


def test_a_quota_of_version_1_control_groups_is_read(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == 1


def test_without_control_groups_the_cpu_affinity_decides(tmp_path):
    assert available_cpus(tmp_path / "absent") == USABLE
