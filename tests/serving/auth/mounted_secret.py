"""A Secret as Kubernetes mounts it, keys for tests, and a policy whose decisions are counted."""

from kfp_tabular.serving.auth.access_policy import AccessPolicy

KEY = "geheim-0123456789-abcdef"
OTHER_KEY = "anderer-0123456789-abcdef"
NEW_KEY = "neuer-0123456789-abcdef"
BEARER = (b"authorization", f"Bearer {KEY}".encode())
API = (b"x-api-key", KEY.encode())


class Secret:
    """A Secret's volume: files that link into a directory, which is swapped as a whole."""

    def __init__(self, mount):
        self.mount = mount
        self.generation = 0
        mount.mkdir()

    def write(self, **values):
        self.generation += 1
        data = self.mount / f"..2026_{self.generation}"
        data.mkdir()
        for name, value in values.items():
            (data / name).write_text(value, encoding="utf-8")
        link = self.mount / "..data_tmp"
        link.symlink_to(data.name)
        link.replace(self.mount / "..data")
        for name in values:
            if not (self.mount / name).is_symlink():
                (self.mount / name).symlink_to(f"..data/{name}")
        for file in self.mount.iterdir():
            if not file.name.startswith("..") and file.name not in values:
                file.unlink()


class Counted:
    def __init__(self):
        self.admitted = []
        self.denied = []

    def policy(self, ring, opening="health"):
        return AccessPolicy(
            ring.owner,
            frozenset(filter(None, [opening])),
            lambda name, protocol: self.admitted.append((name, protocol)),
            lambda reason, protocol: self.denied.append((reason, protocol)),
        )
