"""Random job documents, over everything that the parser accepts."""

from typing import Any

from hypothesis import strategies as st

NAME = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
LABEL_NAME = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?", fullmatch=True)
LABEL_KEY = st.one_of(LABEL_NAME, st.tuples(NAME, LABEL_NAME).map("/".join))
LABELS = st.dictionaries(LABEL_KEY, st.one_of(st.just(""), LABEL_NAME), max_size=3)
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
VARIABLE = st.from_regex(r"[A-Z_][A-Z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("TF_CONFIG", "JOB_COMPLETION_INDEX")
)
PATH = st.from_regex(r"/mnt/[a-z0-9]{1,8}(/[a-z0-9]{1,8})?", fullmatch=True)
SECRET_KEY = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
MEMORY = st.one_of(
    st.integers(1, 500).map("{}Gi".format),
    st.integers(1, 10**6).map("{}Mi".format),
    st.floats(0.5, 64).map("{:.2f}G".format),
    st.integers(2**20, 2**40),
)
CPU = st.one_of(
    st.integers(1, 256),
    st.integers(1, 64).map(float),
    st.integers(1, 10**5).map("{}m".format),
    st.sampled_from(["0.5", "1.25"]),
)


def whole(least: int, most: int) -> st.SearchStrategy[Any]:
    """Return whole numbers, also as floats, as in a KFP struct."""
    numbers = st.integers(least, most)
    return st.one_of(numbers, numbers.map(float)) if most <= 2**31 else numbers


TOLERATION = st.one_of(
    st.fixed_dictionaries(
        {"operator": st.just("Exists")},
        optional={"key": LABEL_KEY, "effect": st.sampled_from(["NoSchedule", "PreferNoSchedule"])},
    ),
    st.fixed_dictionaries(
        {"key": LABEL_KEY, "value": LABEL_NAME, "effect": st.just("NoExecute")},
        optional={"operator": st.just("Equal"), "seconds": whole(0, 10**6)},
    ),
)
ROLE = st.fixed_dictionaries(
    {},
    optional={
        "cpu": CPU,
        "memory": MEMORY,
        "gpus": whole(0, 8),
        "node_selector": LABELS,
        "tolerations": st.lists(TOLERATION, max_size=2),
    },
)
SECRET = st.fixed_dictionaries(
    {"name": NAME, "env": st.dictionaries(SECRET_KEY, VARIABLE, min_size=1, max_size=2)},
    optional={"mount_path": PATH, "optional": st.booleans()},
)
VOLUME = st.fixed_dictionaries(
    {"claim": NAME, "mount_path": PATH},
    optional={"sub_path": st.sampled_from(["a", "a/b"]), "read_only": st.booleans()},
)
STORE = st.fixed_dictionaries(
    {},
    optional={
        "endpoint": st.sampled_from(["http://minio:9000", "https://s3.example.com"]),
        "region": st.sampled_from(["eu-central-1", ""]),
        "secret": NAME,
        "access_key": SECRET_KEY,
        "secret_key": SECRET_KEY,
        "google_key": SECRET_KEY,
    },
)

# What every kind can express.
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "image": st.sampled_from(
        ["registry.example.com:5000/ml/train:1.0", "train@sha256:" + "a" * 64]
    ),
    "image_pull_secrets": st.lists(NAME, max_size=2, unique=True),
    "cpu": CPU,
    "memory": MEMORY,
    "gpus": whole(0, 8),
    "gpu_resource": st.sampled_from(["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.5gb"]),
    "node_selector": LABELS,
    "tolerations": st.lists(TOLERATION, max_size=3),
    "service_account": NAME,
    "env": st.dictionaries(VARIABLE, TEXT, max_size=3),
    "secrets": st.lists(SECRET, max_size=2),
    "volumes": st.lists(VOLUME, max_size=3),
    "object_store": STORE,
    "shared_memory": MEMORY,
    "scratch": MEMORY,
    "run_as_user": whole(1, 2**31 - 1),
    "fs_group": whole(0, 2**31 - 1),
    "termination_grace_seconds": whole(0, 3600),
    "labels": LABELS,
    "annotations": st.dictionaries(LABEL_KEY, TEXT, max_size=2),
    "active_deadline_seconds": whole(1, 2**31 - 1),
    "suspend": st.booleans(),
    "managed_by": st.just("kueue.x-k8s.io/multikueue"),
    "runtime": NAME,
    "deadline_seconds": whole(1, 10**7),
    "grace_seconds": whole(0, 10**5),
}
JOB: dict[str, st.SearchStrategy[Any]] = {
    **COMMON,
    "image_pull_policy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    "priority_class": NAME,
    "restart_policy": st.sampled_from(["OnFailure", "Never"]),
    "backoff_limit": whole(0, 100),
    "ttl_seconds": whole(0, 10**6),
}
TRAINJOB: dict[str, st.SearchStrategy[Any]] = {**COMMON, "workers": whole(1, 64)}
TFJOB: dict[str, st.SearchStrategy[Any]] = {
    **JOB,
    "workers": whole(1, 64),
    "parameter_servers": whole(0, 8),
    "evaluator": st.booleans(),
    "roles": st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("chief", "workers", "parameter_servers", "evaluator"), ROLE),
    ),
    "restart_policy": st.sampled_from(["Always", "OnFailure", "Never", "ExitCode"]),
    "clean_pod_policy": st.sampled_from(["All", "Running", "None"]),
    "scheduling": st.fixed_dictionaries(
        {},
        optional={
            "min_available": whole(1, 64),
            "queue": NAME,
            "priority_class": NAME,
            "timeout_seconds": whole(1, 10**5),
        },
    ),
}
ARGUMENTS = st.lists(
    st.one_of(
        st.just("--output=minio://mlpipeline/runs/1/model"),
        st.just("--transformed-examples=s3://bucket/a b/$(HOME)"),
        st.just("--transform-graph=gs://bucket/graph"),
        TEXT.map("--model-fn={}".format),
    ),
    max_size=5,
)


def _consistent(document: dict[str, Any]) -> bool:
    """Return whether keys fit together; the parser rejects others, which has its own test."""
    mounts = [entry["mount_path"] for entry in document.get("volumes", ())]
    mounts += [
        entry["mount_path"] for entry in document.get("secrets", ()) if "mount_path" in entry
    ]
    variables = list(document.get("env", {}))
    for secret in document.get("secrets", ()):
        variables += secret["env"].values()
    enough = not document.get("parameter_servers") or document.get("workers", 1) > 1
    return enough and len(mounts) == len(set(mounts)) and len(variables) == len(set(variables))


def documents(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields).filter(_consistent)
