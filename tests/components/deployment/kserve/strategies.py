"""Service documents as users could write them, over all that the parser takes."""

from typing import Any

from hypothesis import strategies as st

from tests.components.common.training_job.strategies import (
    CPU,
    LABEL_NAME,
    LABELS,
    MEMORY,
    NAME,
    PATH,
    TEXT,
    TOLERATION,
    VARIABLE,
    whole,
)

IMAGE = st.sampled_from(["registry.example.com:5000/ml/serving:1.0", "s@sha256:" + "a" * 64])
SECONDS = st.floats(1, 3600)
KEDA = st.one_of(
    st.fixed_dictionaries({"cpu": whole(1, 100)}, optional={"memory": whole(1, 100)}),
    st.fixed_dictionaries(
        {
            "prometheus_address": st.just("http://prometheus.monitoring:9090"),
            "prometheus_query": st.just("sum(rate(requests[1m]))"),
            "prometheus_threshold": whole(1, 1000),
        }
    ),
)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "soak_seconds": SECONDS,
    "ready_seconds": SECONDS,
    "image_pull_policy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    "image_pull_secrets": st.lists(NAME, max_size=2, unique=True),
    "cpu": CPU,
    "memory": MEMORY,
    "gpus": whole(0, 8),
    "service_account": NAME,
    "volumes": st.lists(st.fixed_dictionaries({"claim": NAME, "mount_path": PATH}), max_size=2),
    "node_selector": LABELS,
    "tolerations": st.lists(TOLERATION, max_size=2),
    "priority_class": NAME,
    "env": st.dictionaries(VARIABLE, TEXT, max_size=3),
    "labels": LABELS,
    "annotations": st.dictionaries(LABEL_NAME, TEXT, max_size=2),
    "logger": st.fixed_dictionaries(
        {"url": st.just("http://sink.example.com/x")},
        optional={"mode": st.sampled_from(["all", "request", "response"])},
    ),
    "batcher": st.fixed_dictionaries(
        {}, optional={"max_batch_size": whole(1, 1000), "max_latency_ms": whole(1, 1000)}
    ),
    "timeout_seconds": whole(1, 600),
    "prometheus": st.booleans(),
    "cluster_local": st.booleans(),
    "verification": st.fixed_dictionaries(
        {},
        optional={
            "requests": whole(1, 1000),
            "max_error_rate": st.floats(0, 1),
            "max_latency_ms": st.dictionaries(
                st.sampled_from(["p50", "p95", "p99.9", "99"]), st.floats(1, 1000)
            ),
        },
    ),
}
KNATIVE: dict[str, st.SearchStrategy[Any]] = {
    "min_replicas": whole(0, 3),
    "max_replicas": whole(3, 9),
    "scale_metric": st.sampled_from(["concurrency", "rps"]),
    "scale_target": whole(1, 1000),
    "container_concurrency": whole(0, 100),
}
STANDARD: dict[str, st.SearchStrategy[Any]] = {
    "min_replicas": whole(1, 3),
    "max_replicas": whole(3, 9),
}
RUNTIMES = st.one_of(
    st.fixed_dictionaries({}, optional={"image": IMAGE, "auth_secret": NAME}),
    st.fixed_dictionaries(
        {"runtime": st.just("serving_runtime")},
        optional={"runtime_name": NAME, "storage_key": NAME, "auth_secret": NAME},
    ),
    st.fixed_dictionaries(
        {"runtime": st.just("tensorflow")},
        optional={"runtime_name": NAME, "runtime_version": NAME, "storage_key": NAME},
    ),
)
HPA = st.fixed_dictionaries(
    {},
    optional={
        "autoscaler": st.sampled_from(["hpa", "none", "external"]),
        "scale_metric": st.sampled_from(["cpu", "memory"]),
        "scale_target": whole(1, 100),
    },
)
SCALING = {
    "Knative": st.fixed_dictionaries({}, optional=KNATIVE),
    "Standard": st.tuples(
        st.fixed_dictionaries({}, optional=STANDARD),
        st.one_of(HPA, st.fixed_dictionaries({"autoscaler": st.just("keda"), "keda": KEDA})),
    ).map(lambda both: both[0] | both[1]),
}
STRATEGIES = (("canary", "Knative"), ("direct", "Knative"), ("direct", "Standard"))


def _documents(strategy: str, mode: str) -> st.SearchStrategy[dict[str, Any]]:
    kind = {"strategy": strategy, "deployment_mode": mode}
    parts = st.tuples(SCALING[mode], RUNTIMES, st.fixed_dictionaries({}, optional=COMMON))
    documents = parts.map(lambda found: {**kind, **found[0], **found[1], **found[2]})
    return documents.filter(
        lambda found: found.get("runtime") != "tensorflow" or "batcher" not in found
    )


DOCUMENTS = st.one_of(*(_documents(*each) for each in (*STRATEGIES, ("blue_green", "Standard"))))
"""Documents that are right."""
