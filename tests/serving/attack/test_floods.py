"""Floods of connections and requests: memory and probes stay as with good load."""


def test_good_load_is_answered_and_probes_pass(server):
    with server.probing() as prober, server.good_load() as load:
        while load.answered < 50 and not load.failures:
            pass
    assert load.failures == []
    assert prober.failures == []
    assert prober.longest < 10
    assert server.metric("kfp_tabular_requests_total", code="200", operation="predict") > 50
    assert server.memory_mb() > 50
