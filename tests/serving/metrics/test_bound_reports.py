"""Reports of reached bounds: every one is counted, one a minute is logged."""

from kfp_tabular.serving.metrics.bound_reports import BoundReports


def test_a_bound_is_counted_each_time_and_logged_once_a_minute(metrics, caplog):
    now = [0.0]
    reports = BoundReports(metrics.count_bound, lambda: now[0])
    for _ in range(5):
        reports.reached("connections", "1000 connections (--max-connections) are open")
    reports.reached("slow_request", "closed")
    now[0] = 61.0
    reports.reached("connections", "1000 connections (--max-connections) are open")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "1000 connections (--max-connections) are open; 1 since the last line like this",
        "closed; 1 since the last line like this",
        "1000 connections (--max-connections) are open; 5 since the last line like this",
    ]
    name = "kfp_tabular_bounds_reached_total"
    assert metrics.registry.get_sample_value(name, {"bound": "connections"}) == 6
    assert metrics.registry.get_sample_value(name, {"bound": "slow_request"}) == 1
