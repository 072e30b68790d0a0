"""Raw HTTP requests and the statuses of their responses, by RFC 9110 and RFC 9112.

Each is followed by `NEXT`, which a server that finds the request's end answers with 200.
"""

from typing import NamedTuple

NEXT = b"GET /next HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class Raw(NamedTuple):
    """A request.

    Attributes:
        name: What it tries.
        sent: Its bytes.
        status: The status of its response.
        body: The body that the application sees, if the status is 200.
    """

    name: str
    sent: bytes
    status: int
    body: bytes = b""


def _head(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *headers, b"", body])


def _post(*headers: bytes, body: bytes = b"") -> bytes:
    return _head(b"POST /x HTTP/1.1", b"Host: t", *headers, body=body)


def _get(*headers: bytes, target: bytes = b"/x") -> bytes:
    return _head(b"GET %s HTTP/1.1" % target, b"Host: t", *headers)


def _chunked(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", body=body)


HTTP11 = b"GET /x HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"

VALID = [
    Raw("get", _get(), 200),
    Raw("length", _post(b"Content-Length: 3", body=b"abc"), 200, b"abc"),
    Raw("length 0", _post(b"Content-Length: 0"), 200),
    Raw("length with zeros", _post(b"Content-Length: 003", body=b"abc"), 200, b"abc"),
    Raw(
        "body that looks like a request", _post(b"Content-Length: 5", body=b"GET /"), 200, b"GET /"
    ),
    Raw("no body", _post(), 200),
    Raw("empty line before", b"\r\n" + _get(), 200),
    Raw("chunks", _chunked(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), 200, b"abc"),
    Raw("chunk in upper case", _chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), 200, b"0123456789"),
    Raw("chunk with zeros", _chunked(b"0001\r\na\r\n000\r\n\r\n"), 200, b"a"),
    Raw("chunk with CRLF in it", _chunked(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), 200, b"\r\n\r\n"),
    Raw("coding in upper case", _post(b"Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), 200),
    Raw("chunk extension", _chunked(b'1;a=b;c="d;e"\r\na\r\n0;f\r\n\r\n'), 200, b"a"),
    Raw("chunk extension, spaces", _chunked(b"1 ; a = b\r\na\r\n0\r\n\r\n"), 200, b"a"),
    Raw("trailer", _chunked(b"1\r\na\r\n0\r\nX-Trailer: v\r\n\r\n"), 200, b"a"),
    Raw("trailer: a key", _chunked(b"1\r\na\r\n0\r\nX-Api-Key: v\r\n\r\n"), 200, b"a"),
    Raw("trailer: a length", _chunked(b"1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n"), 200, b"a"),
    Raw("trailer: a coding", _chunked(b"1\r\na\r\n0\r\nTransfer-Encoding: x\r\n\r\n"), 200, b"a"),
    Raw("trailer: a host", _chunked(b"1\r\na\r\n0\r\nHost: other\r\n\r\n"), 200, b"a"),
    Raw("no space after a colon", _head(HTTP11, b"Host:t"), 200),
    Raw("spaces around a value", _get(b"A: \t v \t "), 200),
    Raw("empty value", _get(b"A:", b"B: c"), 200),
    Raw("bytes above ASCII in a value", _get(b"A: \xc3\xbc\xff"), 200),
    Raw("repeated header", _get(b"A: 1", b"A: 2"), 200),
    Raw("host with a port", _head(HTTP11, b"Host: t:80"), 200),
    Raw("host with an empty port", _head(HTTP11, b"Host: t:"), 200),
    Raw("host is an address", _head(HTTP11, b"Host: 10.0.0.1:8080"), 200),
    Raw("host is an IPv6 address", _head(HTTP11, b"Host: [::1]:8080"), 200),
    Raw("name of the host in upper case", _head(HTTP11, b"HOST: T"), 200),
    Raw("query", _get(target=b"/x?a=b&c=%20{|}"), 200),
    Raw("encoded path", _get(target=b"/%C3%BC%20"), 200),
    Raw("absolute form", _get(target=b"http://t/x?a"), 200),
    Raw("absolute form without a path", _get(target=b"http://t"), 200),
    Raw("absolute form, upper case", _get(target=b"HTTP://T/x"), 200),
    Raw("asterisk form", _head(b"OPTIONS * HTTP/1.1", b"Host: t"), 200),
    Raw("head", _head(b"HEAD /x HTTP/1.1", b"Host: t"), 200),
    Raw("minor version", _head(b"GET /x HTTP/1.2", b"Host: t"), 200),
    Raw("offer of HTTP/2", _get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), 200),
    Raw(
        "offer of HTTP/2 with a body",
        _post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5", body=b"GET /"),
        200,
        b"GET /",
    ),
    Raw("offer of WebSocket", _get(b"Connection: upgrade", b"Upgrade: websocket"), 200),
    Raw("expectation", _post(b"Expect: 100-continue", b"Content-Length: 1", body=b"a"), 200, b"a"),
    Raw("unknown headers", _get(b"TE: trailers", b"Trailer: X", b"Via: 1.1 p"), 200),
]
"""Requests that are followed by `NEXT` on the same connection."""

CLOSING = [
    Raw("connection: close", _get(b"Connection: close"), 200),
    Raw("connection: close in a list", _get(b"Connection: a, CLOSE ,b"), 200),
    Raw("connection: close in a second header", _get(b"Connection: a", b"Connection: close"), 200),
    Raw("HTTP/1.0", _head(b"GET /x HTTP/1.0"), 200),
    Raw("HTTP/1.0 with a host", _head(b"GET /x HTTP/1.0", b"Host: t"), 200),
    Raw("HTTP/1.0 that would stay", _head(b"GET /x HTTP/1.0", b"Connection: keep-alive"), 200),
    Raw(
        "HTTP/1.0 with a body",
        _head(b"POST /x HTTP/1.0", b"Content-Length: 1", body=b"a"),
        200,
        b"a",
    ),
]
"""Valid requests after which the connection is closed."""

INVALID = [
    # The request line.
    Raw("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    Raw("HTTP/0.9", b"GET /x\r\n\r\n", 400),
    Raw("two spaces", _head(b"GET  /x HTTP/1.1", b"Host: t"), 400),
    Raw("two spaces before the version", _head(b"GET /x  HTTP/1.1", b"Host: t"), 400),
    Raw("a tab", _head(b"GET\t/x HTTP/1.1", b"Host: t"), 400),
    Raw("a leading space", _head(b" GET /x HTTP/1.1", b"Host: t"), 400),
    Raw("a trailing space", _head(b"GET /x HTTP/1.1 ", b"Host: t"), 400),
    Raw("a space in the target", _head(b"GET /x y HTTP/1.1", b"Host: t"), 400),
    Raw("no target", _head(b"GET HTTP/1.1", b"Host: t"), 400),
    Raw("version in lower case", _head(b"GET /x http/1.1", b"Host: t"), 400),
    Raw("version with two digits", _head(b"GET /x HTTP/1.10", b"Host: t"), 400),
    Raw("version without a minor", _head(b"GET /x HTTP/1", b"Host: t"), 400),
    Raw("another protocol", _head(b"GET /x ICE/1.1", b"Host: t"), 400),
    Raw("HTTP/2.0", _head(b"GET /x HTTP/2.0", b"Host: t"), 505),
    Raw("HTTP/3.0", _head(b"GET /x HTTP/3.0", b"Host: t"), 505),
    Raw("HTTP/0.9 in the line", _head(b"GET /x HTTP/0.9", b"Host: t"), 505),
    Raw("HTTP/2.0 without a host", _head(b"GET /x HTTP/2.0"), 505),
    Raw("preface of HTTP/2", PREFACE, 505),
    Raw("method with a slash", _head(b"G/T /x HTTP/1.1", b"Host: t"), 400),
    Raw("method with a colon", _head(b"GET: /x HTTP/1.1", b"Host: t"), 400),
    Raw("method with NUL", _head(b"GE\0T /x HTTP/1.1", b"Host: t"), 400),
    Raw("unknown method", _head(b"FOO /x HTTP/1.1", b"Host: t"), 501),
    Raw("method in lower case", _head(b"get /x HTTP/1.1", b"Host: t"), 501),
    Raw("method of RTSP", _head(b"DESCRIBE /x HTTP/1.1", b"Host: t"), 501),
    Raw("connect", _head(b"CONNECT t:443 HTTP/1.1", b"Host: t:443"), 400),
    Raw("connect to a path", _head(b"CONNECT / HTTP/1.1", b"Host: t"), 400),
    # The target.
    Raw("fragment", _get(target=b"/x#y"), 400),
    Raw("fragment after the query", _get(target=b"/x?y#z"), 400),
    Raw("no slash", _get(target=b"x"), 400),
    Raw("asterisk with GET", _get(target=b"*"), 400),
    Raw("broken encoding", _get(target=b"/%zz"), 400),
    Raw("cut encoding", _get(target=b"/x%2"), 400),
    Raw("encoded slash", _get(target=b"/v1%2fmodels"), 400),
    Raw("encoded NUL", _get(target=b"/x%00"), 400),
    Raw("encoded CR and LF", _get(target=b"/x%0d%0a"), 400),
    Raw("bytes above ASCII", _get(target=b"/\xc3\xbc"), 400),
    Raw("quote", _get(target=b'/"x"'), 400),
    Raw("backslash", _get(target=b"\\x"), 400),
    Raw("absolute form of another host", _get(target=b"http://other/x"), 400),
    Raw("absolute form of another port", _get(target=b"http://t:81/x"), 400),
    Raw("absolute form with a user", _get(target=b"http://u@t/x"), 400),
    Raw("absolute form of another scheme", _get(target=b"ftp://t/x"), 400),
    Raw("absolute form without a host", _get(target=b"http:///x"), 400),
    # Host.
    Raw("no host", _head(HTTP11), 400),
    Raw("no host but others", _head(HTTP11, b"A: b"), 400),
    Raw("two hosts", _get(b"Host: t"), 400),
    Raw("two different hosts", _get(b"Host: u"), 400),
    Raw("two hosts with HTTP/1.0", _head(b"GET /x HTTP/1.0", b"Host: t", b"Host: t"), 400),
    Raw("an empty host", _head(HTTP11, b"Host:"), 400),
    Raw("two hosts in one", _head(HTTP11, b"Host: a, b"), 400),
    Raw("two hosts in one, no space", _head(HTTP11, b"Host: a,b"), 400),
    Raw("host with a path", _head(HTTP11, b"Host: t/x"), 400),
    Raw("host with a user", _head(HTTP11, b"Host: u@t"), 400),
    Raw("host with a bad port", _head(HTTP11, b"Host: t:x"), 400),
    Raw("host with two ports", _head(HTTP11, b"Host: t:1:2"), 400),
    Raw("host with a scheme", _head(HTTP11, b"Host: http://t"), 400),
    Raw("host with a space", _head(HTTP11, b"Host: a b"), 400),
    # Headers.
    Raw("space before a colon", _get(b"A : b"), 400),
    Raw("tab before a colon", _get(b"A\t: b"), 400),
    Raw("length with a space before the colon", _post(b"Content-Length : 1", body=b"a"), 400),
    Raw("coding with a space before the colon", _post(b"Transfer-Encoding : chunked"), 400),
    Raw("folded value", _get(b"A: b", b" c"), 400),
    Raw("folded value with a tab", _get(b"A: b", b"\tc"), 400),
    Raw("folded first header", _head(HTTP11, b" Host: t", b"Host: t"), 400),
    Raw("folded coding", _post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), 400),
    Raw("no colon", _get(b"A"), 400),
    Raw("no name", _get(b": b"), 400),
    Raw("name with a space", _get(b"A B: c"), 400),
    Raw("name with a bracket", _get(b"A(: b"), 400),
    Raw("name with bytes above ASCII", _get(b"\xc3\xbc: b"), 400),
    Raw("name with NUL", _get(b"A\0: b"), 400),
    Raw("NUL in a value", _get(b"A: b\0c"), 400),
    Raw("escape in a value", _get(b"A: b\x1bc"), 400),
    Raw("DEL in a value", _get(b"A: b\x7fc"), 400),
    Raw("CR in a value", _get(b"A: b\rc"), 400),
    Raw("LF in a value", _get(b"A: b\nC: d"), 400),
    Raw("CR at the end of a value", _get(b"A: b\r"), 400),
    Raw("LF ends lines", b"GET /x HTTP/1.1\nHost: t\n\n", 400),
    Raw("LF ends the first line", b"GET /x HTTP/1.1\nHost: t\r\n\r\n", 400),
    Raw("CR ends lines", b"GET /x HTTP/1.1\rHost: t\r\r", 400),
    Raw("LF ends the head", b"GET /x HTTP/1.1\r\nHost: t\r\n\n", 400),
    Raw("LF before the request", b"\n" + _get(), 400),
    Raw("CR CR LF", b"GET /x HTTP/1.1\r\r\nHost: t\r\n\r\n", 400),
    Raw("too many headers", _get(*[b"A: b"] * 300), 431),
    Raw("another expectation", _get(b"Expect: 200-ok"), 417),
    # Content-Length.
    Raw("two lengths", _post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"), 400),
    Raw("the same length twice", _post(b"Content-Length: 1", b"Content-Length: 1", body=b"a"), 400),
    Raw("lengths in a list", _post(b"Content-Length: 1, 1", body=b"a"), 400),
    Raw("length with a sign", _post(b"Content-Length: +1", body=b"a"), 400),
    Raw("negative length", _post(b"Content-Length: -1", body=b"a"), 400),
    Raw("length in hexadecimal", _post(b"Content-Length: 0x1", body=b"a"), 400),
    Raw("length with a fraction", _post(b"Content-Length: 1.0", body=b"a"), 400),
    Raw("length with an underscore", _post(b"Content-Length: 1_0", body=b"a"), 400),
    Raw("length in other digits", _post(b"Content-Length: \xd9\xa1", body=b"a"), 400),
    Raw("an empty length", _post(b"Content-Length:", body=b"a"), 400),
    Raw("an endless length", _post(b"Content-Length: " + b"9" * 5000), 400),
    # Transfer-Encoding.
    Raw("coding and length", _post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    Raw("length and coding", _post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), 400),
    Raw("gzip", _post(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"), 400),
    Raw("gzip, chunked", _post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400),
    Raw("chunked, gzip", _post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400),
    Raw("chunked, chunked", _post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    Raw("chunked twice", _post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    Raw("chunked and identity", _post(CHUNKED, b"Transfer-Encoding: identity"), 400),
    Raw("identity", _post(b"Transfer-Encoding: identity"), 400),
    Raw("an empty coding", _post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 400),
    Raw("xchunked", _post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    Raw("chunked;q=1", _post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 400),
    Raw('"chunked"', _post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 400),
    Raw(
        "vertical tab before chunked",
        _post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
        400,
    ),
    Raw("chunked with HTTP/1.0", _head(b"POST /x HTTP/1.0", CHUNKED, body=b"0\r\n\r\n"), 400),
    # Chunks.
    Raw("no size", _chunked(b"\r\n\r\n"), 400),
    Raw("size with a sign", _chunked(b"+1\r\na\r\n0\r\n\r\n"), 400),
    Raw("negative size", _chunked(b"-1\r\na\r\n0\r\n\r\n"), 400),
    Raw("size with 0x", _chunked(b"0x1\r\na\r\n0\r\n\r\n"), 400),
    Raw("size with a space before", _chunked(b" 1\r\na\r\n0\r\n\r\n"), 400),
    Raw("size with a space behind", _chunked(b"1 \r\na\r\n0\r\n\r\n"), 400),
    Raw("size of no digits", _chunked(b"g\r\na\r\n0\r\n\r\n"), 400),
    Raw("size beyond 64 bits", _chunked(b"10000000000000001\r\na\r\n0\r\n\r\n"), 400),
    Raw("chunk longer than its size", _chunked(b"1\r\nab\r\n0\r\n\r\n"), 400),
    Raw("chunk shorter than its size", _chunked(b"3\r\na\r\n0\r\n\r\n"), 400),
    Raw("size ended by LF", _chunked(b"1\na\r\n0\r\n\r\n"), 400),
    Raw("size ended by CR", _chunked(b"1\ra\r\n0\r\n\r\n"), 400),
    Raw("chunk ended by LF", _chunked(b"1\r\na\n0\r\n\r\n"), 400),
    Raw("chunk ended by nothing", _chunked(b"1\r\na0\r\n\r\n"), 400),
    Raw("extension with LF", _chunked(b"1;a\nb\r\na\r\n0\r\n\r\n"), 400),
    Raw("extension with NUL", _chunked(b"1;a\0\r\na\r\n0\r\n\r\n"), 400),
    Raw("extension without a name", _chunked(b"1;\r\na\r\n0\r\n\r\n"), 400),
    Raw("extension with an open quote", _chunked(b'1;a="b\r\na\r\n0\r\n\r\n'), 400),
    Raw("long extension", _chunked(b"1;" + b"a" * 1000 + b"\r\na\r\n0\r\n\r\n"), 400),
    Raw("trailer without a colon", _chunked(b"0\r\nA\r\n\r\n"), 400),
    Raw("trailer with a folded value", _chunked(b"0\r\nA: b\r\n c\r\n\r\n"), 400),
    Raw("trailer ended by LF", _chunked(b"0\r\nA: b\n\r\n"), 400),
    Raw("trailer with NUL", _chunked(b"0\r\nA: \0\r\n\r\n"), 400),
    Raw("long trailer", _chunked(b"0\r\nA: " + b"b" * 9000 + b"\r\n\r\n"), 431),
    Raw("many trailers", _chunked(b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"), 431),
]
"""Requests that are rejected, and after which the connection is closed."""

ALL = [*VALID, *CLOSING, *INVALID]
