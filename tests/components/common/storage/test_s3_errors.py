"""Errors that the user can fix are told from those that may pass, by a scripted store."""

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, writability

CONTENT = b"0123456789" * 1000


class Answers(BaseHTTPRequestHandler):
    """Answers with what the test's function returns."""

    protocol_version = "HTTP/1.1"
    answer: Callable

    def do_GET(self):
        self.answer(self)

    do_PUT = do_HEAD = do_POST = do_DELETE = do_GET

    def log_message(self, *_):
        pass

    def say(self, code, body=b"", length=None, **headers):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def store(monkeypatch):
    """Start a store that answers by a function, and return a folder in it."""
    servers = []

    def start(answer):
        handler = type("Handler", (Answers,), {"answer": staticmethod(answer)})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        return Folder("s3://bucket/folder")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def failure(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", "access denied. Set AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "access denied"),
        (400, "ExpiredToken", "access denied"),
        (404, "NoSuchBucket", "the bucket does not exist"),
    ],
)
def test_what_the_user_can_mend(store, status, code, words):
    folder = store(lambda request: request.say(status, failure(code)))
    with pytest.raises(UserError, match=rf"^s3://bucket/folder/?: {words}"):
        folder.list()


def test_a_server_that_is_busy_is_asked_again(store, monkeypatch):
    monkeypatch.setattr("botocore.retryhandler.random.random", lambda: 0.0)
    asked = []

    def answer(request):
        asked.append(request.path)
        if len(asked) < 3:
            request.say(503, failure("SlowDown"))
        else:
            request.say(
                200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            )

    assert store(answer).list() == {}
    assert len(asked) == 3


def test_a_broken_off_response_continues_where_it_was(store, tmp_path):
    asked = []

    def answer(request):
        if request.command == "HEAD":
            request.say(200, length=len(CONTENT), ETag='"1"')
            return
        start, end = map(int, re.findall(r"\d+", request.headers["Range"]))
        asked.append(start)
        body = CONTENT[start : end + 1]
        sent = body[: len(body) // 2] if len(asked) < 3 else body
        request.say(
            206, sent, length=len(body), Content_Range=f"bytes {start}-{end}/{len(CONTENT)}"
        )
        request.close_connection = True

    assert store(answer).read_text("object") == CONTENT.decode()
    assert asked[0] == 0
    assert len(asked) == 3
    assert asked[-1] >= 5000


@pytest.mark.parametrize(("abort", "warned"), [(204, False), (403, True)])
def test_a_trial_upload_that_cannot_be_aborted_is_said(store, caplog, abort, warned):
    def answer(handler):
        if handler.command == "POST":
            body = b"<r><Bucket>bucket</Bucket><Key>k</Key><UploadId>u-1</UploadId></r>"
            handler.say(200, body)
        else:
            handler.say(abort, b"" if abort == 204 else denied_document())

    store(answer)
    writability.check("s3://bucket/models", "model_repository")

    said = "The trial upload to s3://bucket/models/.kfp-tabular-probe-" in caplog.text
    assert said == warned


def test_a_bucket_that_may_only_be_read_is_named_before_the_work(store):
    store(lambda handler: handler.say(403, denied_document()))

    with pytest.raises(UserError) as refused:
        writability.check("s3://bucket/models", "model_repository")
    assert str(refused.value).startswith(
        "model_repository: cannot write there: s3://bucket/models: access denied. Set AWS_ACCESS"
    )


def denied_document():
    return b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
