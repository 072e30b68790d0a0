"""Servers that refuse, are away, or answer something else: one line each, and no traceback."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import open_registry, resolve
from kfp_tabular.components.common.registry.kubeflow_api import API
from kfp_tabular.components.common.registry.port import RegistryAwayError
from tests.servers import loopback

MLFLOW, KUBEFLOW = "", "model-registry+"
PAGE = "<html><body>Welcome\nto the proxy</body></html>"


@contextmanager
def answering(
    status: int, text: str, location: str = "", asked: list[str] | None = None
) -> Iterator[str]:
    """Run a server with the same answer to everything; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if asked is not None:
                asked.append(self.path)
            content = text.encode()
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = answer

    with loopback.serving(Handler) as address:
        yield f"http://{address}"


READS: dict[str, Callable] = {
    "names": lambda registry: registry.names(),
    "versions": lambda registry: registry.versions("taxi"),
    "version": lambda registry: registry.version("taxi", "1"),
    "aliases": lambda registry: registry.aliases("taxi"),
    "records": lambda registry: registry.records("taxi"),
    "champion": lambda registry: resolve("models:/taxi@champion", registry),
}


@pytest.mark.parametrize("scheme", [MLFLOW, KUBEFLOW], ids=["mlflow", "kubeflow"])
@pytest.mark.parametrize(
    ("status", "text", "kind", "says"),
    [
        (401, "", UserError, "the registry refuses this login. Set MLFLOW_TRACKING_"),
        (403, "no", UserError, "the registry refuses this login. Set MLFLOW_TRACKING_"),
        (503, PAGE, RegistryAwayError, "http://127.0.0.1"),
        (200, PAGE, UserError, "not an answer of|no answer of"),
        (200, "[5]", UserError, "127"),
        (418, "short and stout", UserError, "418"),
    ],
)
def test_each_refusal_is_one_line(scheme, status, text, kind, says):
    with answering(status, text) as url:
        registry = open_registry(f"{scheme}{url}")
        for name, read in READS.items():
            with pytest.raises(kind, match=says) as error:
                read(registry)
            line = str(error.value)
            assert "\n" not in line and len(line) < 700, name
            assert "127.0.0.1" in line, name


@pytest.mark.parametrize(
    "document",
    [
        {"items": 5},
        {"items": ["taxi"]},
        {"items": [{"name": "taxi"}]},
        {"items": [{"id": "1", "name": 5}], "id": "1", "name": 5},
        {"items": [{"id": "1", "customProperties": [1]}], "id": "1", "customProperties": [1]},
        {
            "items": [{"id": "1", "customProperties": {"kfp_tabular.model": "x"}}],
            "id": "1",
            "customProperties": {"kfp_tabular.model": "x"},
        },
        {"items": [{"id": "1", "createTimeSinceEpoch": "soon"}], "id": "x", "name": 3},
    ],
    ids=str,
)
def test_entities_of_another_form_are_refused(document):
    with answering(200, json.dumps(document)) as url:
        registry = open_registry(f"{KUBEFLOW}{url}")
        for read in (registry.names, lambda: registry.versions("taxi")):
            with pytest.raises(UserError, match="no answer of Kubeflow's Model Registry") as error:
                read()
            assert "\n" not in str(error.value)


def test_a_token_is_not_sent_to_another_place(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    asked: list[str] = []
    with answering(200, "{}", asked=asked) as other, answering(302, "", other) as url:
        registry = open_registry(f"{KUBEFLOW}{url}")
        with pytest.raises(UserError, match=r"GET /registered_models.*status 302"):
            registry.names()
    assert not asked


def test_addresses_in_messages_have_no_password():
    with answering(403, "") as url:
        for scheme in (MLFLOW, KUBEFLOW):
            named = f"{scheme}{url.replace('http://', 'http://ann:secret@')}"
            with pytest.raises(UserError) as error:
                open_registry(named).names()
            assert "secret" not in str(error.value)


HOSTILE = [
    "models:/../x@y",
    "models:/x/../../etc/passwd",
    "models:/x/0x1",
    "models:/x/-1",
    "models:/x/\uff11",
    "models:/x/99999999999999999999",
    "models:/x'or'1'='1@champion",
    'models:/x"@champion',
    "models:/x\n2026-01-01 ERROR@champion",
    "models:/x\x1b[2J@champion",
    "models:/x@",
    "models:/@champion",
    "models:/x@a@b",
    "models:/" + "a" * 100_000 + "@champion",
    "models://host/x/1",
    "models:",
]


@pytest.mark.parametrize("uri", HOSTILE, ids=lambda uri: ascii(uri[:40]))
def test_hostile_names_are_one_line(registry, registered, uri):
    registered("a")
    with pytest.raises(UserError) as error:
        resolve(uri, registry)
    line = str(error.value)
    assert "\n" not in line and "expected models:/NAME@champion" in line
    assert len(line) < 400


def test_a_document_named_like_a_path_leaves_no_file(registry, registered, tmp_path):
    """Kubeflow's registry holds documents by name, and anyone may add one."""
    version = registered("a")
    if "model-registry" in registry.address:
        change = {"kfp_tabular.document.../../stolen.txt": "aGFsbG8="}
        registry._set("/model_versions", registry._entry(version), change)
    folder = tmp_path / "here" / "documents"
    folder.mkdir(parents=True)

    found = registry.documents(version, folder)

    assert {file.name for file in found.rglob("*") if file.is_file()} == {"MLmodel"}
    assert not list(tmp_path.rglob("stolen.txt"))


def test_versions_that_others_registered_are_left_alone(registry, registered):
    if "model-registry" not in registry.address:
        pytest.skip("MLflow numbers versions itself")
    registered("a")
    model = registry._model("taxi")
    body = {"name": "v2-of-others", "registeredModelId": model["id"]}
    assert registry._api.create(f"/registered_models/{model['id']}/versions", body) is not None

    assert registered("b").version == "2"
    assert [version.version for version in registry.versions("taxi")] == ["2", "1"]
    assert API == "/api/model_registry/v1alpha3"
