"""Keys from secrets as Kubernetes mounts them, and who is let in over REST and gRPC."""

import asyncio
import json
import logging
import os

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.auth.access_policy import AccessPolicy, presented_key
from kfp_tabular.serving.auth.grpc_authentication import GrpcAuthentication
from kfp_tabular.serving.auth.http_authentication import HttpAuthentication
from kfp_tabular.serving.auth.key_ring import KeyRing

KEY = "geheim-0123456789-abcdef"
OTHER_KEY = "anderer-0123456789-abcdef"
NEW_KEY = "neuer-0123456789-abcdef"


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


@pytest.fixture
def secret(tmp_path):
    return Secret(tmp_path / "keys")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_mounted_secret_holds_a_key_per_file(secret):
    secret.write(batch=f"{KEY}\n", web=OTHER_KEY)
    found = keys.read_keys(secret.mount)
    assert found.names == ("batch", "web")
    assert found.owner(KEY.encode()) == "batch"
    assert found.owner(OTHER_KEY.encode()) == "web"
    assert found.owner(NEW_KEY.encode()) is None
    assert KEY not in repr(found)
    assert KEY not in str(vars(found))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"web": OTHER_KEY, "batch": KEY}),
        f"# who\n\nbatch: {KEY}\nweb:{OTHER_KEY}  \r\n",
    ],
)
def test_a_file_holds_several_keys(tmp_path, text):
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8", newline="")
    found = keys.read_keys(file)
    assert found.names == ("batch", "web")
    assert found.owner(KEY.encode()) == "batch"


def test_a_key_may_hold_a_colon(tmp_path):
    (tmp_path / "keys").write_text(f"web: user:{KEY}", encoding="utf-8")
    assert keys.read_keys(tmp_path / "keys").owner(f"user:{KEY}".encode()) == "web"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["holds no key"]),
        ("# nothing\n\n", ["holds no key"]),
        ("{}", ["holds no key"]),
        (f"web: {KEY}\nweb: {OTHER_KEY}", ["line 2", "this name"]),
        (f'{{"web": "{KEY}", "web": "{OTHER_KEY}"}}', ["entry 2", "this name"]),
        (f"web: {KEY}\nbatch: {KEY}", ["line 2", "same key"]),
        (KEY, ["line 1", "no colon"]),
        (f"web: {KEY[:15]}", ["line 1", "15 characters", "openssl"]),
        (f"web: {KEY} {KEY}", ["line 1", "without spaces"]),
        (f"web: {KEY}ü", ["line 1", "ASCII"]),
        (f"web: {'k' * 4097}", ["line 1", "4097 characters"]),
        (f"{'w' * 64}: {KEY}", ["line 1", "63 letters"]),
        (f"a b: {KEY}", ["line 1", "letters"]),
        (f": {KEY}", ["line 1", "letters"]),
        (f"{KEY}: web", ["line 1", "3 characters"]),
        (f'{{"{KEY}": "web"}}', ["entry 1", "3 characters"]),
        (f'{{"web": ["{KEY}"]}}', ["entry 1", "expected a string"]),
        (f'{{"web": "{KEY}"', ["JSON object"]),
        ("{" * 5000, ["JSON object"]),
        ("\n".join(f"k{n}: {KEY}{n}" for n in range(257)), ["257 keys", "at most 256"]),
    ],
)
def test_a_wrong_file_is_refused_without_a_word_of_its_keys(tmp_path, text, words):
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        KeyRing(file)
    for word in [*words, str(file)]:
        assert word in str(error.value)
    assert KEY[:10] not in str(error.value)
    assert "\n" not in str(error.value)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        KeyRing(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no key"):
        KeyRing(tmp_path / "empty")
    (tmp_path / "nested" / "inner").mkdir(parents=True)
    with pytest.raises(UserError, match="not a regular file"):
        KeyRing(tmp_path / "nested")
    (tmp_path / "binary").write_bytes(b"web: \xff\xfe" + KEY.encode())
    with pytest.raises(UserError, match="not UTF-8"):
        KeyRing(tmp_path / "binary")
    (tmp_path / "huge").write_bytes(b" " * 2_000_000)
    with pytest.raises(UserError, match="2000000 bytes"):
        KeyRing(tmp_path / "huge")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        KeyRing(tmp_path / "pipe")


def test_a_new_key_works_at_once_and_a_withdrawn_one_only_for_so_long(secret):
    clock = Clock()
    secret.write(old=KEY)
    ring = KeyRing(secret.mount, check_seconds=5, clock=clock)
    secret.write(old=KEY, new=NEW_KEY)
    clock.now += 1
    assert ring.owner(NEW_KEY.encode()) == "new"
    secret.write(new=NEW_KEY)
    clock.now += 4.9
    assert ring.owner(KEY.encode()) == "old"
    clock.now += 0.1
    assert ring.owner(KEY.encode()) is None
    assert ring.names == ("new",)


def test_guessing_keys_does_not_read_the_secret_each_time(secret, monkeypatch):
    clock = Clock()
    secret.write(web=KEY)
    ring = KeyRing(secret.mount, clock=clock)
    looks = []
    monkeypatch.setattr(keys, "generation", lambda path: looks.append(path) or ())
    for _ in range(100):
        clock.now += 0.02
        ring.owner(b"guess")
    assert len(looks) <= 2


@pytest.mark.parametrize("content", ["", "nonsense", f"web: {NEW_KEY}\nbatch: short"])
def test_a_mistake_in_the_secret_locks_nobody_out_and_is_logged_once(tmp_path, caplog, content):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY}", encoding="utf-8")
    ring = KeyRing(file, check_seconds=5, clock=clock)
    file.write_text(content, encoding="utf-8")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            clock.now += 6
            assert ring.owner(KEY.encode()) == "web"
            assert ring.owner(NEW_KEY.encode()) is None
        file.unlink()
        clock.now += 6
        assert ring.owner(KEY.encode()) == "web"
        file.write_text(f"web: {NEW_KEY}", encoding="utf-8")
        clock.now += 6
        assert ring.owner(NEW_KEY.encode()) == "web"
        assert ring.owner(KEY.encode()) is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert KEY not in caplog.text
    assert NEW_KEY not in caplog.text


def test_every_key_is_compared_whichever_it_is(monkeypatch):
    many = keys.Keys.of({f"key-{n}": f"{KEY}-{n}" for n in range(50)})
    compared = []
    compare = keys.hmac.compare_digest
    monkeypatch.setattr(
        keys.hmac, "compare_digest", lambda a, b: compared.append(len(a) == len(b)) or compare(a, b)
    )
    for presented in (f"{KEY}-0", f"{KEY}-49", "no such key", ""):
        compared.clear()
        many.owner(presented.encode())
        assert compared == [True] * 50


BEARER = (b"authorization", f"Bearer {KEY}".encode())
API = (b"x-api-key", KEY.encode())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([(b"content-type", b"x")], None),
        ([BEARER], KEY.encode()),
        ([API], KEY.encode()),
        ([(b"authorization", b"bearer   " + KEY.encode() + b" ")], KEY.encode()),
        ([(b"authorization", b"Basic " + KEY.encode())], b""),
        ([(b"authorization", KEY.encode())], b""),
        ([(b"authorization", b"Bearer")], b""),
        ([(b"authorization", b"Bearer ")], b""),
        ([(b"authorization", b"")], b""),
        ([(b"x-api-key", b"")], b""),
        ([BEARER, BEARER], b""),
        ([API, API], b""),
        ([API, (b"authorization", b"Basic abc")], KEY.encode()),
        ([(b"authorization", b"Bearer other"), API], KEY.encode()),
        ([(b"x-api-key", b"k" * 4096)], b"k" * 4096),
        ([(b"x-api-key", b"k" * 4097)], b""),
        ([(b"authorization", b"Bearer " + b"k" * 4097)], b""),
        ([(b"x-api-key", b"k" * 10_000_000)], b""),
    ],
)
def test_where_a_key_is_looked_for(headers, expected):
    assert presented_key(headers) == expected


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


@pytest.fixture
def ring(secret):
    secret.write(web=KEY, batch=OTHER_KEY)
    return KeyRing(secret.mount)


async def echo(scope, receive, send):
    """Answers with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def request(app, method, path, **options):
    async def main():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.request(method, path, **options)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("headers", "status", "challenge", "reason"),
    [
        ({"authorization": f"Bearer {KEY}"}, 200, None, None),
        ({"x-api-key": OTHER_KEY}, 200, None, None),
        ({}, 401, 'Bearer realm="kfp-tabular"', "missing"),
        ({"x-api-key": KEY + "x"}, 401, 'error="invalid_token"', "unknown"),
        ({"x-api-key": KEY[:-1]}, 401, 'error="invalid_token"', "unknown"),
        ({"authorization": f"Basic {KEY}"}, 401, 'error="invalid_request"', "malformed"),
    ],
)
def test_rest_lets_in_who_has_a_key(ring, headers, status, challenge, reason):
    counted = Counted()
    app = HttpAuthentication(echo, counted.policy(ring))
    answer = request(app, "POST", "/v1/models/m:predict", headers=headers, content=b"abc")
    assert answer.status_code == status
    if status == 200:
        assert answer.text == "3"
        assert counted.admitted == [("web" if "authorization" in headers else "batch", "v1")]
        assert not counted.denied
    else:
        assert challenge in answer.headers["www-authenticate"]
        assert answer.json()["error"]
        assert KEY[:10] not in answer.text + str(answer.headers)
        assert counted.denied == [(reason, "v1")]


HEALTH = ["/", "/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"]
METADATA = ["/v1/models", "/v2/models", "/v1/models/m", "/v2/models/m", "/v2"]


@pytest.mark.parametrize(
    ("opened", "paths"), [("health", HEALTH), ("metrics", ["/metrics"]), ("metadata", METADATA)]
)
def test_rest_keeps_open_only_what_it_is_told(ring, opened, paths):
    counted = Counted()
    app = HttpAuthentication(echo, counted.policy(ring, opened))
    closed = HttpAuthentication(echo, counted.policy(ring, ""))
    for path in paths:
        assert request(app, "GET", path).status_code == 200
        assert request(app, "HEAD", path).status_code == 200
        assert request(app, "POST", path).status_code == 401
        assert request(app, "GET", path + "x").status_code == (200 if path[-1] == "m" else 401)
        assert request(closed, "GET", path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/m:predict",
        "/v2/models/m/infer",
        "/v2/models/m/versions/3/infer",
        "/metrics",
        "/v1/models/m",
        "/v2/health/live/",
        "//v2/health/live",
        "/v2/health/live/../../models/m/infer",
        "/v2/models/a/b/ready",
        "/anything",
    ],
)
def test_rest_needs_a_key_for_all_else(ring, path):
    app = HttpAuthentication(echo, Counted().policy(ring))
    for method in ("GET", "POST", "OPTIONS", "PUT"):
        assert request(app, method, path).status_code == 401


def test_rest_does_not_read_the_body_of_who_has_no_key(ring):
    async def body():
        raise AssertionError("was read")

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/models/m:predict", "headers": []}
    asyncio.run(HttpAuthentication(echo, Counted().policy(ring))(scope, body, send))
    assert sent[0]["status"] == 401


def test_rest_closes_websockets_and_passes_the_lifespan_on(ring):
    reached, sent = [], []

    async def app(scope, receive, send):
        reached.append(scope["type"])

    async def send(message):
        sent.append(message)

    guarded = HttpAuthentication(app, Counted().policy(ring))
    for kind in ("websocket", "lifespan"):
        asyncio.run(guarded({"type": kind, "path": "/", "headers": []}, None, send))
    assert reached == ["lifespan"]
    assert sent == [{"type": "websocket.close", "code": 1008}]


SERVICE = "/inference.GRPCInferenceService"


def call(policy, method, metadata=(), message=b"abc", read=None):
    """Calls a gRPC server that answers with the length of the message."""

    async def length(message, context):
        if read is not None:
            read.append(len(message))
        return str(len(message)).encode()

    class Everything(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(length)

    async def main():
        server = grpc.aio.server(interceptors=[GrpcAuthentication(policy)])
        server.add_generic_rpc_handlers([Everything()])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                answer = await channel.unary_unary(method)(message, metadata=metadata, timeout=10)
                return answer, None
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()
        finally:
            await server.stop(None)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([("authorization", f"Bearer {KEY}")], None),
        ([("x-api-key", KEY)], None),
        ([], "missing"),
        ([("x-api-key", KEY + "x")], "unknown"),
        ([("x-api-key", KEY), ("x-api-key", KEY)], "malformed"),
        ([("authorization", f"Basic {KEY}")], "malformed"),
        ([("x-api-key-bin", KEY.encode())], "missing"),
        ([("x-api-key", "k" * 5000)], "malformed"),
    ],
)
def test_grpc_lets_in_who_has_a_key(ring, metadata, reason):
    counted = Counted()
    answer, details = call(counted.policy(ring), f"{SERVICE}/ModelInfer", metadata)
    if reason is None:
        assert answer == b"3"
        assert counted.admitted == [("web", "grpc")]
    else:
        assert answer == "UNAUTHENTICATED"
        assert KEY[:10] not in details
        assert counted.denied == [(reason, "grpc")]


@pytest.mark.parametrize(
    ("opened", "methods"),
    [
        ("health", ["ServerLive", "ServerReady", "ModelReady"]),
        ("metadata", ["ServerMetadata", "ModelMetadata"]),
    ],
)
def test_grpc_keeps_open_only_what_it_is_told(ring, opened, methods):
    counted = Counted()
    for method in methods:
        assert call(counted.policy(ring, opened), f"{SERVICE}/{method}")[0] == b"3"
        assert call(counted.policy(ring, ""), f"{SERVICE}/{method}")[0] == "UNAUTHENTICATED"
    assert call(counted.policy(ring, opened), f"{SERVICE}/Other")[0] == "UNAUTHENTICATED"


def test_grpc_does_not_take_the_message_of_who_has_no_key(ring):
    read = []
    policy = Counted().policy(ring)
    answer = call(policy, f"{SERVICE}/ModelInfer", message=b"x" * 3_000_000, read=read)
    assert answer[0] == "UNAUTHENTICATED"
    assert not read


texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=40)


@given(st.dictionaries(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), texts, min_size=1), texts)
def test_exactly_the_keys_that_were_written_are_in_force(tmp_path_factory, written, guess):
    if len(set(written.values())) < len(written):
        return
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(json.dumps(written), encoding="utf-8")
    found = keys.read_keys(file)
    for name, key in written.items():
        assert found.owner(key.encode()) == name
    owners = {key: name for name, key in written.items()}
    assert found.owner(guess.encode()) == owners.get(guess)
