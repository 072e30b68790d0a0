"""The Pod Security Standards, as far as the pods of this project go near them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping
from typing import Any

BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
SECCOMP_PROFILES = ("RuntimeDefault", "Localhost")


def baseline(pod: Mapping[str, Any]) -> list[str]:
    """Return what in a pod's spec the level `baseline` forbids."""
    return list(_baseline(pod))


def restricted(pod: Mapping[str, Any]) -> list[str]:
    """Return what in a pod's spec the level `restricted` forbids."""
    return [*_baseline(pod), *_restricted(pod)]


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a pod's containers, those that run before the others included."""
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


def _baseline(pod: Mapping[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']}: hostPath"
    for container in containers(pod):
        name = container["name"]
        context = container.get("securityContext", {})
        if context.get("privileged"):
            yield f"{name}: privileged"
        if set(context.get("capabilities", {}).get("add", [])) - BASELINE_CAPABILITIES:
            yield f"{name}: capabilities.add"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{name}: hostPort"
        if context.get("seccompProfile", {}).get("type") == "Unconfined":
            yield f"{name}: seccompProfile"


def _restricted(pod: Mapping[str, Any]) -> Iterator[str]:
    shared = pod.get("securityContext", {})
    if shared.get("runAsUser") == 0:
        yield "runAsUser"
    for volume in pod.get("volumes", []):
        if not RESTRICTED_VOLUMES & volume.keys():
            yield f"volume {volume['name']}"
    for container in containers(pod):
        name = container["name"]
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation"
        if context.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
            yield f"{name}: runAsNonRoot"
        if context.get("runAsUser") == 0:
            yield f"{name}: runAsUser"
        profile = context.get("seccompProfile", shared.get("seccompProfile", {}))
        if profile.get("type") not in SECCOMP_PROFILES:
            yield f"{name}: seccompProfile"
        capabilities = context.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            yield f"{name}: capabilities.drop"
        if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities.add"
