"""Requests that two HTTP implementations may read differently, as raw bytes.

Each is named after what is ambiguous about it. `{key}` in a head is a line with a valid key.
"""

from dataclasses import dataclass

KEY = "geheim-0123456789-abcdef"
PREDICT = b"/v1/models/fraud:predict"
BODY = '{"instances":[{"amount":11.5,"商户":"店"}]}'.encode()
_KEY = b"X-Api-Key: " + KEY.encode() + b"\r\n"
_HOST = b"Host: t\r\n"
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: t\r\nX: "


@dataclass(frozen=True)
class Ambiguous:
    """An ambiguous request.

    Attributes:
        name: What is ambiguous.
        pieces: What a client sends, a TCP segment each.
        is_keyed: Whether a valid key is in a header of its first request, where a key counts.
        is_cut: Whether something is missing, so that no answer may come.
    """

    name: str
    pieces: tuple[bytes, ...]
    is_keyed: bool = True
    is_cut: bool = False


def request(
    *lines: bytes,
    body: bytes = BODY,
    method: bytes = b"POST",
    target: bytes = PREDICT,
    version: bytes = b"HTTP/1.1",
    host: bytes = _HOST,
    key: bytes = _KEY,
    end: bytes = b"\r\n",
) -> bytes:
    """Return a request with these lines in its head; nothing about its length is added."""
    head = b"%s %s %s" % (method, target, version)
    texts = [head, *(line for line in (host + key).split(b"\r\n") if line), *lines]
    return end.join(texts) + end * 2 + body


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """Return a chunked body."""
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


def length(number: int = len(BODY)) -> bytes:
    """Return a header with a body's length."""
    return b"Content-Length: %d" % number


CHUNKED = b"Transfer-Encoding: chunked"
PLAIN = request(length())


def _lengths() -> dict[str, bytes]:
    both = chunked(BODY) + _SMUGGLED
    size = len(BODY)
    return {
        "length and chunked": request(length(len(both)), CHUNKED, body=both),
        "chunked and length": request(CHUNKED, length(len(chunked(BODY))), body=chunked(BODY)),
        "chunked, a short length": request(length(4), CHUNKED, body=chunked(BODY)),
        "chunked, length 0": request(length(0), CHUNKED, body=chunked(BODY)),
        "two equal lengths": request(length(), length()),
        "two lengths, the first short": request(length(3), length()),
        "two lengths, the second short": request(length(), length(3)),
        "a list of lengths": request(b"Content-Length: %d, %d" % (size, size)),
        "a list of different lengths": request(b"Content-Length: 3, %d" % size),
        "a signed length": request(b"Content-Length: +%d" % size),
        "a negative length": request(b"Content-Length: -1"),
        "a length with zeros before it": request(b"Content-Length: 000%d" % size),
        "a hexadecimal length": request(b"Content-Length: 0x%x" % size),
        "a length with an underscore": request(b"Content-Length: 1_0"),
        "a length with a fraction": request(b"Content-Length: %d.0" % size),
        "an overflowing length": request(b"Content-Length: %d" % (2**64 + size)),
        "an empty length": request(b"Content-Length:"),
        "a space before the colon of a length": request(b"Content-Length : %d" % size),
        "a tab before the colon of a length": request(b"Content-Length\t: %d" % size),
        "a length with an underscore in its name": request(b"Content_Length: 3", length()),
        "a length after a vertical tab": request(b"Content-Length: \x0b%d" % size),
        "no length": request(),
        "a body of GET": request(length(), method=b"GET", target=b"/v2/models/fraud"),
        "a chunked body of GET": request(
            CHUNKED, method=b"GET", target=b"/v2/models/fraud", body=chunked(_SMUGGLED)
        ),
        "a body of HEAD": request(length(), method=b"HEAD", target=b"/v2/models/fraud"),
        "a request as the body of GET": request(
            length(len(_SMUGGLED)), method=b"GET", target=b"/v2/models/fraud", body=_SMUGGLED
        ),
    }


def _codings() -> dict[str, bytes]:
    values = {
        "identity": b"identity",
        "chunked, identity": b"chunked, identity",
        "identity, chunked": b"identity, chunked",
        "chunked twice": b"chunked, chunked",
        "gzip, chunked": b"gzip, chunked",
        "xchunked": b"xchunked",
        "in capitals": b"CHUNKED",
        "in quotes": b'"chunked"',
        "with a parameter": b"chunked;q=1",
        "with a tab before it": b"\tchunked",
        "with a vertical tab before it": b"\x0bchunked",
        "with a zero byte": b"chunked\x00",
        "with a comma before it": b", chunked",
        "with a comma after it": b"chunked,",
        "empty": b"",
    }
    found = {
        f"a coding {name}": request(b"Transfer-Encoding: " + value, body=chunked(BODY))
        for name, value in values.items()
    }
    coded = chunked(BODY)
    return found | {
        "a space before the colon of a coding": request(b"Transfer-Encoding : chunked", body=coded),
        "two codings": request(CHUNKED, b"Transfer-Encoding: identity", body=coded),
        "two codings, the last chunked": request(
            b"Transfer-Encoding: identity", CHUNKED, body=coded
        ),
        "a coding on a folded line": request(b"Transfer-Encoding:\r\n chunked", body=coded),
        "a coding after a folded line": request(
            length(), b"X: a\r\n Transfer-Encoding: chunked", body=coded
        ),
        "a coding with an underscore in its name": request(
            length(len(coded)), b"Transfer_Encoding: chunked", body=coded
        ),
        "a coding on HTTP/1.0": request(CHUNKED, body=coded, version=b"HTTP/1.0"),
        "a coding and a length on HTTP/1.0": request(
            CHUNKED, length(len(coded)), body=coded, version=b"HTTP/1.0"
        ),
        "a coding after a bare CR": request(length(), b"X: a\rTransfer-Encoding: chunked"),
        "a coding after a bare LF": request(length(), b"X: a\nTransfer-Encoding: chunked"),
    }


def _chunks() -> dict[str, bytes]:
    size = b"%x" % len(BODY)
    bodies = {
        "an extension": size + b";a=b\r\n" + BODY + b"\r\n0\r\n\r\n",
        "an extension in quotes": size + b';a="b\\"c"\r\n' + BODY + b"\r\n0\r\n\r\n",
        "an extension with a bare LF": size + b";a\n" + BODY + b"\r\n0\r\n\r\n",
        "an extension with a bare CR": size + b";a\rb\r\n" + BODY + b"\r\n0\r\n\r\n",
        "an extension without a name": size + b";\r\n" + BODY + b"\r\n0\r\n\r\n",
        "a long extension": size + b";" + b"a" * 20_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "a space after the size": size + b" \r\n" + BODY + b"\r\n0\r\n\r\n",
        "a space before the size": b" " + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "zeros before the size": b"0" * 40 + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "0x before the size": b"0x" + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "a plus before the size": b"+" + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "an underscore in the size": b"0_" + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "an overflowing size": b"f" * 16 + b"0\r\n" + BODY + b"\r\n0\r\n\r\n",
        "a size of 2^64": b"1" + b"0" * 16 + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "a negative size": b"-1\r\n" + BODY + b"\r\n0\r\n\r\n",
        "no size": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "bare LF after the size": size + b"\n" + BODY + b"\r\n0\r\n\r\n",
        "bare LF after the data": size + b"\r\n" + BODY + b"\n0\r\n\r\n",
        "bare CR after the size": size + b"\r" + BODY + b"\r\n0\r\n\r\n",
        "no line end after the data": size + b"\r\n" + BODY + b"0\r\n\r\n",
        "other bytes after the data": size + b"\r\n" + BODY + b"xx0\r\n\r\n",
        "bare LF at the end": size + b"\r\n" + BODY + b"\r\n0\n\n",
        "a last size of 00": size + b"\r\n" + BODY + b"\r\n00\r\n\r\n",
        "an extension of the last size": size + b"\r\n" + BODY + b"\r\n0;a=b\r\n\r\n",
    }
    return {f"chunks: {name}": request(CHUNKED, body=body) for name, body in bodies.items()}


def _trailers() -> dict[str, bytes]:
    lines = {
        "a length": b"Content-Length: 3\r\n",
        "a coding": b"Transfer-Encoding: identity\r\n",
        "a host": b"Host: other\r\n",
        "the length of a head of JSON": b"Inference-Header-Content-Length: 5\r\n",
        "a connection": b"Connection: close\r\n",
        "a type": b"Content-Type: application/octet-stream\r\n",
        "a folded line": b"X: a\r\n b\r\n",
        "a space before the colon": b"X : a\r\n",
        "no colon": b"nothing\r\n",
        "a bare LF": b"X: a\nY: b\r\n",
        "many lines": b"X: a\r\n" * 300,
        "a request": b"GET /smuggled HTTP/1.1\r\n",
    }
    return {
        f"trailers: {name}": request(CHUNKED, body=chunked(BODY, trailers=text))
        for name, text in lines.items()
    }


def _heads() -> dict[str, bytes]:
    return {
        "a folded line": request(length(), b"X: a\r\n b"),
        "a folded first line": request(b" X: a", length(), host=b"", key=b""),
        "a space before a colon": request(length(), b"X : a"),
        "no colon": request(length(), b"nothing"),
        "no name": request(length(), b": a"),
        "a zero byte": request(length(), b"X: a\x00b"),
        "a bare CR": request(length(), b"X: a\rY: b"),
        "bare LF in a head": request(length(), end=b"\n"),
        "bare LF before the body": PLAIN.replace(b"\r\n\r\n", b"\n\n", 1),
        "bare CR before the body": PLAIN.replace(b"\r\n\r\n", b"\r\r", 1),
        "empty lines before a request": b"\r\n\r\n" + PLAIN,
        "bytes that are no text": request(length(), b"X: \xff\xfe"),
        "a name in other letters": request(length(), "\uff38-Api-Key: a".encode()),
        "two hosts": request(length(), b"Host: other"),
        "two equal hosts": request(length(), b"Host: t"),
        "no host": request(length(), host=b""),
        "an empty host": request(length(), host=b"Host:\r\n"),
        "a host with a path": request(length(), host=b"Host: t/smuggled\r\n"),
        "a host with a user": request(length(), host=b"Host: a@t\r\n"),
        "a host with a space": request(length(), host=b"Host: t other\r\n"),
        "a list of hosts": request(length(), host=b"Host: t, other\r\n"),
        "the whole URL": request(length(), target=b"http://t" + PREDICT),
        "the URL of another host": request(length(), target=b"http://other" + PREDICT),
        "the URL of another host without a host": request(
            length(), target=b"http://other" + PREDICT, host=b""
        ),
        "a URL of another scheme": request(length(), target=b"ftp://t" + PREDICT),
        "a host as the target": request(target=b"t:80", method=b"CONNECT", body=b""),
        "a star as the target": request(target=b"*", method=b"OPTIONS", body=b""),
        "a large header": request(length(), b"X: " + b"a" * 100_000),
        "a large URL": request(length(), target=PREDICT + b"?" + b"a" * 100_000),
        "many headers": request(length(), *[b"X%d: a" % n for n in range(400)]),
        "a length as an option of the connection": request(length(), b"Connection: content-length"),
        "a coding as an option of the connection": request(
            CHUNKED, b"Connection: transfer-encoding", body=chunked(BODY)
        ),
        "a host as an option of the connection": request(length(), b"Connection: host"),
        "close": request(length(), b"Connection: close"),
        "close and keep": request(length(), b"Connection: keep-alive, close"),
        "close in capitals, twice": request(length(), b"Connection: CLOSE", b"Connection: x"),
        "Expect": request(length(), b"Expect: 100-continue"),
        "Expect without a body": request(
            b"Expect: 100-continue", method=b"GET", target=b"/v2/models/fraud", body=b""
        ),
        "Expect of something else": request(length(), b"Expect: nothing"),
        "Expect twice": request(length(), b"Expect: 100-continue", b"Expect: 100-continue"),
        "Expect with a short length": request(length(3), b"Expect: 100-continue"),
        "an upgrade to h2c": request(
            length(), b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AA"
        ),
        "an upgrade to h2c without a body": request(
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AA",
            method=b"GET",
            target=b"/v2/models/fraud",
            body=b"",
        ),
        "an upgrade to websocket": request(
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            method=b"GET",
            target=b"/v2/models/fraud",
            body=b"",
        ),
        "an upgrade and a request": request(
            length(len(_SMUGGLED)), b"Upgrade: h2c", b"Connection: Upgrade", body=_SMUGGLED
        ),
    }


def _versions() -> dict[str, bytes]:
    others = (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3", b"HTTP/1.10")
    return {
        **{version.decode(): request(length(), version=version) for version in others},
        "http/1.1": request(length(), version=b"http/1.1"),
        "no version": b"GET " + PREDICT + b"\r\n\r\n",
        "a space after the version": request(length(), version=b"HTTP/1.1 "),
        "two spaces before the target": request(length(), target=b" " + PREDICT),
        "a tab before the target": request(length(), target=b"\t" + PREDICT),
        "a space in the target": request(length(), target=PREDICT + b" x"),
        "HTTP/1.0 that keeps": request(length(), b"Connection: keep-alive", version=b"HTTP/1.0"),
        "HTTP/1.0 that keeps, without a length": request(
            b"Connection: keep-alive", version=b"HTTP/1.0"
        ),
        "HTTP/1.0 without a host": request(length(), version=b"HTTP/1.0", host=b""),
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + b"\x00\x00\x00\x04"
        + bytes(5),
        "a method in small letters": request(length(), method=b"post"),
        "an unknown method": request(length(), method=b"GPOST"),
        "TRACE": request(method=b"TRACE", body=b""),
        "a method with a space": request(length(), method=b"PO ST"),
    }


def _targets() -> dict[str, bytes]:
    targets = (
        b"/v1/models/%66raud:predict",
        b"/v1/models/fraud%3Apredict",
        b"/v1/models/fraud%3apredict?x=%00",
        b"/v1//models/fraud:predict",
        b"//v1/models/fraud:predict",
        b"/v1/models/./fraud:predict",
        b"/v1/models/x/../fraud:predict",
        b"/v1/models/x/%2e%2e/fraud:predict",
        b"/v1/models/x%2f..%2ffraud:predict",
        b"/v1/models/fraud:predict/",
        b"/v1/models/fraud:predict#x",
        b"/v1/models/fraud:predict;x",
        b"/v1/models\\fraud:predict",
        b"/v1/models/fraud:predict%00",
        b"/v1/models/fraud:predict%0d%0aX:%20a",
        b"/v1/models/fraud:predict%20HTTP/1.1%0d%0a",
        b"/v1/models/%c0%afraud:predict",
        b"/v1/models/%zz",
        b"/v1/models/%2566raud:predict",
        b"/V1/MODELS/FRAUD:PREDICT",
        b"v1/models/fraud:predict",
    )
    return {target.decode(): request(length(), target=target) for target in targets}


def _denied() -> dict[str, bytes]:
    """Ways to a path that the proxy denies."""
    targets = (
        b"/metrics",
        b"/metrics/",
        b"//metrics",
        b"/./metrics",
        b"/v2/../metrics",
        b"/v2/health/live/../../../metrics",
        b"/v2/health/live/..%2f..%2f..%2fmetrics",
        b"/v2/health/live/..;/..;/..;/metrics",
        b"/%6detrics",
        b"/%256detrics",
        b"/%2fmetrics",
        b"/%2e/metrics",
        b"/metrics%00",
        b"/metrics%20",
        b"/metrics%2f",
        b"/metrics?x",
        b"/metrics;x",
        b"/metrics#x",
        b"/metrics%23x",
        b"/metrics%3fx",
        b"/METRICS",
        b"\\metrics",
        b"http://t/metrics",
        b"http://t//metrics",
        b"http:metrics",
        b"metrics",
    )
    return {
        f"denied: {target.decode()}": request(method=b"GET", target=target, body=b"")
        for target in targets
    }


def _without_key() -> dict[str, tuple[bytes, ...]]:
    plain = _KEY.rstrip()
    bearer = b"Authorization: Bearer " + KEY.encode()
    coded = {
        name: request(CHUNKED, body=chunked(BODY, trailers=line + b"\r\n"), key=b"")
        for name, line in (("a key in a trailer", plain), ("a token in a trailer", bearer))
    }
    pieces = request(CHUNKED, b"Trailer: X-Api-Key", body=chunked(BODY), key=b"")[:-2]
    return {
        **{name: (text,) for name, text in coded.items()},
        "a key in a trailer of its own segment": (pieces, plain + b"\r\n\r\n"),
        "a key in a body": (request(length(len(plain)), body=plain, key=b""),),
        "a key after a body": (request(length(), key=b"") + plain + b"\r\n\r\n",),
        "a key with an underscore": (request(length(), b"X_Api_Key: " + KEY.encode(), key=b""),),
        "a key on a folded line": (
            request(length(), b"X: a\r\n X-Api-Key: " + KEY.encode(), key=b""),
        ),
        "a key after a bare CR": (request(length(), b"X: a\rX-Api-Key: " + KEY.encode(), key=b""),),
        "a key after an encoded line end": (
            request(length(), target=PREDICT + b"?%0d%0aX-Api-Key:" + KEY.encode(), key=b""),
        ),
    }


def _hop_by_hop() -> dict[str, bytes]:
    """A proxy removes what `Connection` lists, so these keys may count or not."""
    return {
        f"a key as an option of the connection: {name}": request(
            length(), b"Connection: " + name.encode()
        )
        for name in ("x-api-key", "close, x-api-key", "authorization")
    }


def _sequences() -> dict[str, tuple[bytes, ...]]:
    first = request(length(3), body=b"[1]")
    get = request(method=b"GET", target=b"/v2/models/fraud", body=b"")
    expecting = request(length(), b"Expect: 100-continue", body=b"")
    return {
        "two requests": (PLAIN + PLAIN,),
        "twenty requests": (PLAIN * 20,),
        "a bad request, then a good one": (first + PLAIN,),
        "a good request, then a bad one": (PLAIN + b"nonsense\r\n\r\n",),
        "a request, then half of one": (PLAIN + PLAIN[:40],),
        "GET, then POST": (get + PLAIN,),
        "HEAD, then POST": (get.replace(b"GET", b"HEAD", 1) + PLAIN,),
        "Expect, then its body": (expecting, BODY),
        "Expect, then another request": (expecting, get),
        "every line in a segment": tuple(line + b"\r\n" for line in PLAIN.split(b"\r\n")),
        "closing, then another request": (request(length(), b"Connection: close") + get,),
        "two requests, the second without a key": (PLAIN + request(length(), key=b""),),
        "a chunked request, then another": (request(CHUNKED, body=chunked(BODY)) + PLAIN,),
    }


def _cut() -> dict[str, bytes]:
    return {
        "half of a head": PLAIN[:60],
        "half of a body": PLAIN[:-5],
        "half of a chunk": request(CHUNKED, body=chunked(BODY)[:-12]),
        "no last chunk": request(CHUNKED, body=chunked(BODY)[:-5]),
        "half of the trailers": request(CHUNKED, body=chunked(BODY)[:-2] + b"X: "),
        "a length that is too long": request(length(len(BODY) + 10)),
    }


def corpus() -> list[Ambiguous]:
    """Return all of them."""
    whole = (
        *(_lengths(), _codings(), _chunks(), _trailers(), _heads()),
        *(_versions(), _targets(), _denied(), _hop_by_hop()),
    )
    found = [Ambiguous(name, (text,)) for each in whole for name, text in each.items()]
    found += [Ambiguous(name, pieces) for name, pieces in _sequences().items()]
    found += [Ambiguous(name, (text,), is_cut=True) for name, text in _cut().items()]
    found += [Ambiguous(name, pieces, is_keyed=False) for name, pieces in _without_key().items()]
    return found
