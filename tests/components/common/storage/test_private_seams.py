"""What storage uses of the client of Google Cloud Storage beyond its documented interface."""

from tests.private_seams import seam


def test_the_sessions_of_a_client() -> None:
    with seam(
        "google-cloud-storage",
        "Client._http and AuthorizedSession._auth_request.session",
        user="components/common/storage/gcs.py",
    ):
        import requests
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        client = storage.Client(project="p", credentials=AnonymousCredentials())

        assert isinstance(client._http, requests.Session)
        assert isinstance(client._http._auth_request.session, requests.Session)
        assert client._http._auth_request.session is not client._http
