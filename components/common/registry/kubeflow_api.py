"""REST calls to Kubeflow's Model Registry, whose failures are one line each."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry.port import RegistryAwayError
from kfp_tabular.components.common.tracking.address import without_credentials

SCHEME = "model-registry+"
"""Before `http://` or `https://` in an address."""

API = "/api/model_registry/v1alpha3"

_PAGE = "100"
_MOST_PAGES = 10_000
_SECONDS = 30.0
_LONGEST_ANSWER = 300


class KubeflowApi:
    """The REST interface of a registry.

    Args:
        address: `model-registry+http://HOST:PORT`, or with `https`.
        token: A bearer token; empty for none.

    Attributes:
        address: The address.
        shown: The address for messages, without credentials.
    """

    def __init__(self, address: str, token: str = "") -> None:
        import urllib3

        self.address = address.rstrip("/")
        self.shown = without_credentials(self.address)
        self._url = f"{self.address.removeprefix(SCHEME)}{API}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(headers=headers, timeout=_SECONDS)

    def find(self, path: str) -> Any:
        """Return an entity, or None if there is none."""
        return self._checked(self._call("GET", path, none_for=404), path)

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create an entity, and return it, or None if its name is taken."""
        return self._checked(self._call("POST", path, body, none_for=409), path)

    def change(self, path: str, body: Mapping[str, Any]) -> None:
        """Change an entity."""
        self._call("PATCH", path, body)

    def list(self, path: str) -> list[Any]:
        """Return all entities of a collection, page by page."""
        found: list[Any] = []
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"pageSize": _PAGE} | ({"nextPageToken": token} if token else {})
            page = self._call("GET", f"{path}?{urlencode(query)}")
            items = page.get("items") or []
            if not isinstance(items, list):
                raise self._garbage("GET", path, page)
            found += [self._checked(entity, path) for entity in items]
            token = page.get("nextPageToken") or ""
            if not token:
                return found
        raise UserError(f"{self.shown}: {path} has no end: {_MOST_PAGES} pages were read.")

    def _checked(self, entity: Any, path: str) -> Any:
        """Return an entity that has what every entity has."""
        if entity is None:
            return None
        fits = isinstance(entity, dict) and isinstance(entity.get("id"), str)
        properties = entity.get("customProperties") or {} if fits else None
        if (
            not isinstance(properties, dict)
            or not all(isinstance(value, dict) for value in properties.values())
            or not isinstance(entity.get("name") or "", str)
            or not str(entity.get("createTimeSinceEpoch") or 0).isdecimal()
        ):
            raise self._garbage("GET", path, entity)
        return {"name": "", "createTimeSinceEpoch": "0", **entity, "customProperties": properties}

    def _garbage(self, method: str, path: str, answer: Any, status: int = 200) -> UserError:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return UserError(
            f"{self.shown}: {method} {path}: status {status}, and no answer of Kubeflow's Model "
            f"Registry: {' '.join(text.split())[:_LONGEST_ANSWER]}"
        )

    def _call(self, method: str, path: str, body: Any = None, none_for: int = 0) -> Any:
        import urllib3

        try:
            response = self._pool.request(
                method,
                f"{self._url}{path}",
                body=None if body is None else json.dumps(body),
                redirect=False,
            )
        except urllib3.exceptions.LocationValueError as error:
            raise UserError(f"{self.shown}: not the address of a registry: {error}.") from error
        except urllib3.exceptions.HTTPError as error:
            raise RegistryAwayError(f"{self.shown}: no answer: {error}") from error
        status, text = response.status, response.data.decode("utf-8", "replace")
        if status in (401, 403):
            raise UserError(
                f"{self.shown}: the registry refuses this login. Set MLFLOW_TRACKING_TOKEN to a "
                "bearer token that it accepts."
            )
        # Some versions answer 400 where a name is taken.
        if status == none_for or (none_for == 409 and status == 400 and "already exists" in text):
            return None
        if status >= 500:
            answer = " ".join(text.split())[:_LONGEST_ANSWER]
            raise RegistryAwayError(f"{self.shown}: status {status} for {path}: {answer}")
        try:
            document = json.loads(text or "{}") if status < 300 else None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._garbage(method, path, text, status)
        return document
