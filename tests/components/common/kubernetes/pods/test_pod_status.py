from typing import Any

import pytest

from kfp_tabular.components.common.kubernetes.pods import pod_status


def pod(name: str = "p", **status: Any) -> dict[str, Any]:
    container = {"name": "main", "resources": {"limits": {"memory": "1Gi"}}}
    return {
        "metadata": {"name": name, "uid": name, "labels": {"a": "1"}},
        "spec": {"containers": [container, {"name": "sidecar"}]},
        "status": status,
    }


def container(name: str = "main", restarts: int = 0, last: Any = None, **state: Any) -> Any:
    status = {"name": name, "image": "i:1", "restartCount": restarts, "state": state}
    return status | ({"lastState": {"terminated": last}} if last else {})


def terminated(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "finishedAt": "2026-01-01T00:00:00Z", **more}


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        ("ErrImagePull", 60),
        ("ImagePullBackOff", 60),
        ("CreateContainerConfigError", 30),
        ("InvalidImageName", 0),
        ("ErrImageNeverPull", 0),
    ],
)
def test_reasons_for_not_starting(reason: str, seconds: float) -> None:
    waiting = container(waiting={"reason": reason, "message": "because"})
    for field in ("containerStatuses", "initContainerStatuses"):
        problem = pod_status.cannot_start(pod(phase="Pending", **{field: [waiting]}), 300)
        assert problem is not None
        assert (problem.reason, problem.seconds) == (reason, seconds)
        assert "because" in str(problem)
        assert "pod p cannot start" in str(problem)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "CrashLoopBackOff", ""])
def test_reasons_to_wait(reason: str) -> None:
    waiting = container(waiting={"reason": reason})
    assert pod_status.cannot_start(pod(phase="Pending", containerStatuses=[waiting]), 300) is None


def test_a_shorter_grace_holds_for_all_problems() -> None:
    waiting = container(waiting={"reason": "ErrImagePull"})
    problem = pod_status.cannot_start(pod(containerStatuses=[waiting]), 5)
    assert problem is not None
    assert problem.seconds == 5


def test_a_pod_without_a_place() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}
    problem = pod_status.cannot_start(
        pod(conditions=[{**condition, "reason": "Unschedulable"}]), 300
    )
    assert problem is not None
    assert str(problem) == "pod p cannot start: Unschedulable: 0/3 nodes"
    # A queue holds it back, which is not a problem.
    gated = pod(conditions=[{**condition, "reason": "SchedulingGated"}])
    assert pod_status.cannot_start(gated, 300) is None


def test_a_pod_that_is_being_deleted_need_not_start() -> None:
    item = pod(containerStatuses=[container(waiting={"reason": "ErrImagePull"})])
    item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_status.cannot_start(item, 300) is None


def test_pods_without_any_status() -> None:
    for item in (pod(), {"metadata": {"name": "p", "uid": "p"}}):
        assert pod_status.cannot_start(item, 300) is None
        assert list(pod_status.failures(item)) == []
        assert not pod_status.has_log(item, "main")
        assert not pod_status.has_ended(item)


def test_too_much_memory() -> None:
    ended = container(terminated=terminated(137, "OOMKilled"))
    (failure,) = pod_status.failures(pod(phase="Failed", containerStatuses=[ended]))
    assert str(failure) == (
        "pod p, container main: OOMKilled: it used more memory than its limit of 1Gi "
        "(exit code 137, SIGKILL)"
    )
    ended = container("sidecar", terminated=terminated(137, "OOMKilled"))
    (failure,) = pod_status.failures(pod(containerStatuses=[ended]))
    assert "more memory than its node had" in str(failure)


@pytest.mark.parametrize(
    ("code", "text"),
    [(1, "exit code 1"), (139, "exit code 139, SIGSEGV"), (255, "exit code 255")],
)
def test_exit_codes(code: int, text: str) -> None:
    ended = container(terminated=terminated(code, message="Traceback:\n  it broke"))
    (failure,) = pod_status.failures(pod(containerStatuses=[ended]))
    assert failure.message == f"{text}: Traceback: it broke"


def test_an_earlier_start_counts_too() -> None:
    running = container(restarts=2, last=terminated(137, "OOMKilled"), running={})
    (failure,) = pod_status.failures(pod(phase="Running", containerStatuses=[running]))
    assert (failure.reason, failure.restarts, failure.previous) == ("OOMKilled", 1, True)


def test_success_is_not_a_failure() -> None:
    ended = container(terminated=terminated(0, "Completed"))
    assert list(pod_status.failures(pod(phase="Succeeded", containerStatuses=[ended]))) == []


def test_a_whole_pod_fails() -> None:
    (failure,) = pod_status.failures(pod(phase="Failed", reason="Evicted", message="low on memory"))
    assert str(failure) == "pod p: Evicted: low on memory"
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "preempted",
    }
    (failure,) = pod_status.failures(pod(phase="Running", conditions=[condition]))
    assert str(failure) == "pod p: PreemptionByScheduler: preempted"


def test_causes_come_before_consequences() -> None:
    def failed(name: str, code: int, reason: str, finished: str) -> Any:
        ended = terminated(code, reason) | {"finishedAt": finished}
        return pod(name, phase="Failed", containerStatuses=[container(terminated=ended)])

    found = [
        failed("told-to-stop", 143, "Error", "2026-01-01T00:00:01Z"),
        failed("second", 1, "Error", "2026-01-01T00:00:03Z"),
        failed("first", 1, "Error", "2026-01-01T00:00:02Z"),
        failed("memory", 137, "OOMKilled", "2026-01-01T00:00:04Z"),
    ]
    order = sorted(failure for item in found for failure in pod_status.failures(item))
    assert [failure.pod for failure in order] == ["memory", "first", "second", "told-to-stop"]


def test_selection() -> None:
    old, new, other = pod("old"), pod("new"), pod("other")
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    new["metadata"] |= {"creationTimestamp": "2026-01-02T00:00:00Z", "labels": {"a": "1", "b": "2"}}
    other["metadata"]["labels"] = None
    assert pod_status.selected([new, old, other], "a=1") == [old, new]
    assert pod_status.selected([new, old, other], "a=1,b=2") == [new]
    assert pod_status.selected([new, old, other], "") == []


def test_events() -> None:
    events = [
        {"type": "Warning", "reason": "B", "message": "two\n lines", "lastTimestamp": "2"},
        {"type": "Normal", "reason": "C", "message": "fine", "lastTimestamp": "3"},
        {"type": "Warning", "reason": "A", "message": "one", "eventTime": "1"},
    ]
    assert pod_status.event_lines(events) == ["A: one", "B: two lines"]
    assert pod_status.event_lines(events, most=1) == ["B: two lines"]


def test_whether_there_is_a_log() -> None:
    assert pod_status.has_log(pod(containerStatuses=[container(running={})]), "")
    assert pod_status.has_log(pod(containerStatuses=[container(terminated=terminated(1))]), "main")
    assert not pod_status.has_log(pod(containerStatuses=[container(running={})]), "sidecar")
    waiting = container(waiting={"reason": "CrashLoopBackOff"}, last=terminated(1))
    assert pod_status.has_log(pod(containerStatuses=[waiting]), "main")
