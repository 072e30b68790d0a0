"""The headers that may hold a key."""

import pytest

from kfp_tabular.serving.auth.access_policy import presented_key
from tests.serving.auth.mounted_secret import API, BEARER, KEY


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
def test_which_header_holds_the_key(headers, expected):
    assert presented_key(headers) == expected
