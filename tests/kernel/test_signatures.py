"""A signed statement is what was signed, of the type that it says, by a key that is known."""

import base64
import json

import pytest

from services.kernel.errors import Corrupt
from services.kernel.principals import private_key
from services.kernel.signatures import LONGEST, sign, verify

KEY, OTHER = private_key(bytes(32)), private_key(b"1" * 32)
PUBLISHED = [{**KEY.as_dict(private=False), "kid": "one"}]
SIGNED = sign(b'{"a":1}', "thing+jws", "one", KEY)


def encoded(**header: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")


HEAD, BODY, SIGNATURE = SIGNED.split(".")


def test_what_was_signed_is_read() -> None:
    assert verify(SIGNED, "thing+jws", PUBLISHED) == b'{"a":1}'


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "a.b",
        "\u2603.a.b",
        f"{HEAD}.{BODY}.",
        f"{HEAD}.{BODY}",
        f"{HEAD}.{encoded(a='2')}.{SIGNATURE}",
        f"{encoded(alg='none', typ='thing+jws', kid='one')}.{BODY}.",
        f"{encoded(alg='HS256', typ='thing+jws', kid='one')}.{BODY}.{SIGNATURE}",
        f"{encoded(alg='Ed25519', kid='one')}.{BODY}.{SIGNATURE}",
        sign(b'{"a":1}', "thing+jws", "one", OTHER),
        sign(b'{"a":1}', "thing+jws", "two", KEY),
        sign(b'{"a":1}', "another+jws", "one", KEY),
        sign(b"a" * LONGEST, "thing+jws", "one", KEY),
        SIGNED + "A",
    ],
)
def test_what_was_not_signed_so_is_refused(forged: str) -> None:
    with pytest.raises(Corrupt):
        verify(forged, "thing+jws", PUBLISHED)


def test_nothing_is_signed_where_no_key_is_published() -> None:
    with pytest.raises(Corrupt):
        verify(SIGNED, "thing+jws", [])
