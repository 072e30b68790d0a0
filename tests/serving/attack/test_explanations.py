"""A flood of explanations: predictions and probes go on, and memory is given back."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.serving.attack.served import ROW

EXPLAIN = "/v1/models/fraud:explain"
CLIENTS, REQUESTS = 12, 4


def ask(address, document):
    """Send a request for explanations; return the status and the answer."""
    connection = http.client.HTTPConnection(*address, timeout=120)
    try:
        connection.request("POST", EXPLAIN, json.dumps(document))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_flood_of_explanations_leaves_predictions_and_probes_alone(server):
    most = {"instances": [{**ROW, "amount": number / 7} for number in range(32)]}
    baseline = {"baseline": {"amount": 1, "hour": 12, "商户": "x"}}
    status, expected = ask(server.address, {**most, **baseline})
    assert status == 200
    before = server.memory_mb()
    statuses: Counter[int] = Counter()

    def flood(_):
        for _ in range(REQUESTS):
            status, answer = ask(server.address, {**most, **baseline})
            statuses[status] += 1
            if status == 200:
                assert answer["baseline"] == expected["baseline"]
                for one, other in zip(
                    answer["explanations"], expected["explanations"], strict=True
                ):
                    assert abs(one["value"] - other["value"]) < 1e-5
            else:
                assert len(json.dumps(answer)) < 1000

    with (
        server.probing() as prober,
        server.good_load() as load,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        list(pool.map(flood, range(CLIENTS)))
    assert statuses.keys() <= {200, 503}
    assert statuses[200] >= REQUESTS
    assert prober.failures == []
    assert load.failures == []
    assert server.memory_mb() < before + 300
    assert server.metric("kfp_tabular_pending_bytes") == 0
    # More rows than are explained at once are refused, also while none is.
    status, answer = ask(server.address, {"instances": [ROW] * 33, **baseline})
    assert (status, "33 rows" in answer["error"]) == (413, True)


def test_a_client_that_hangs_up_does_not_stop_the_queue(server):
    given = {"instances": [ROW] * 32, "baseline": {"amount": 1}}
    document = json.dumps(given).encode()
    head = f"POST {EXPLAIN} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(document)}\r\n\r\n"
    for _ in range(4):
        with server.connect() as connection:
            connection.sendall(head.encode() + document)
    # They wait in the queue before this one, or are gone.
    status, _ = ask(server.address, {**given, "instances": [ROW]})
    assert status == 200
