"""The tests' own Model Registry answers as the real one did, whose answers are recorded.

To record them anew, from a real server with an empty store:
`python -m tests.components.common.registry.test_model_registry_server http://HOST:PORT`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import urllib3

from tests.components.common.registry import model_registry_server
from tests.components.common.registry.model_registry_server import API

RECORDED = Path(__file__).with_name("recorded_answers.json")
TEXT = {"metadataType": "MetadataStringValue", "string_value": "1"}
ARTIFACT = {
    "artifactType": "model-artifact",
    "name": "taxi-1",
    "uri": "s3://models/1/",
    "modelFormatName": "tensorflow",
    "modelFormatVersion": "2",
}
MOVED = {"artifactType": "model-artifact", "uri": "s3://models/2/"}

# What is sent; {0}, {1}, ... are the IDs that were answered so far, in order.
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/registered_models", None),
    ("GET", "/registered_model?name=taxi", None),
    ("POST", "/registered_models", {"name": "taxi", "customProperties": {"a": TEXT}}),
    ("POST", "/registered_models", {"name": "taxi"}),
    ("GET", "/registered_model?name=taxi", None),
    ("POST", "/registered_models/{0}/versions", {"name": "1", "registeredModelId": "{0}"}),
    ("POST", "/registered_models/{0}/versions", {"name": "2", "registeredModelId": "{0}"}),
    ("POST", "/registered_models/{0}/versions", {"name": "3", "registeredModelId": "{0}"}),
    ("POST", "/registered_models/{0}/versions", {"name": "1", "registeredModelId": "{0}"}),
    ("GET", "/registered_models/{0}/versions?pageSize=2", None),
    ("GET", "/registered_models/{0}/versions?nextPageToken=abc", None),
    ("GET", "/model_version?name=1&parentResourceId={0}", None),
    ("GET", "/model_version?name=9&parentResourceId={0}", None),
    ("POST", "/model_versions/{1}/artifacts", ARTIFACT),
    ("PATCH", "/model_artifacts/{4}", MOVED),
    ("GET", "/model_versions/{1}/artifacts?orderBy=CREATE_TIME&sortOrder=DESC", None),
    ("PATCH", "/registered_models/{0}", {"customProperties": {"b": TEXT}}),
    ("PATCH", "/model_versions/{1}", {"customProperties": {"b": TEXT}}),
    ("PATCH", "/registered_models/{0}", {"custom": 1}),
    ("PATCH", "/model_versions/999999", {}),
]


def answers(url: str) -> list[dict[str, Any]]:
    """Send the requests; return status and body of each answer, with IDs by their order."""
    ids: list[str] = []
    found = []
    pool = urllib3.PoolManager(headers={"Content-Type": "application/json"})
    for method, path, body in REQUESTS:
        sent = None if body is None else _filled(json.dumps(body), ids)
        response = pool.request(method, f"{url}{API}{_filled(path, ids)}", body=sent)
        document = json.loads(response.data)
        if response.status == 201:
            ids.append(document["id"])
        found.append({"request": f"{method} {path}", "status": response.status, "body": document})
    return found


def _filled(text: str, ids: list[str]) -> str:
    for place, number in enumerate(ids):
        text = text.replace(f"{{{place}}}", number)
    return text


def shape(document: Any) -> Any:
    """Return the form of a document: names, and values that are neither IDs nor times."""
    if isinstance(document, dict):
        return {
            name: shape(value)
            for name, value in sorted(document.items())
            if name not in ("message", "pageSize", "size")
        }
    if isinstance(document, list):
        return [shape(value) for value in document]
    return "text" if isinstance(document, str) and document.isdecimal() else document


def test_it_answers_as_the_real_server() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    with model_registry_server.running() as address:
        found = answers(address.removeprefix("model-registry+"))
    assert [it["request"] for it in found] == [it["request"] for it in recorded]
    for one, other in zip(found, recorded, strict=True):
        for document in (one["body"], other["body"]):
            # A token means something to its server only.
            if document.get("nextPageToken"):
                document["nextPageToken"] = "more"
        assert one["status"] == other["status"], one["request"]
        assert shape(one["body"]) == shape(other["body"]), one["request"]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(answers(sys.argv[1]), indent=1) + "\n", encoding="utf-8")
