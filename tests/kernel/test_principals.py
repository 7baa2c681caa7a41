"""Who asks is who signed it may say asks: for one service, for a minute, and nobody else."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from msgspec.structs import replace

from services.kernel.calls import Caller, operator
from services.kernel.errors import Invalid, Unauthenticated
from services.kernel.messages import SKEW
from services.kernel.principals import (
    LONGEST,
    REMEMBERED,
    SECONDS,
    Signer,
    Verifier,
    private_key,
    read_private_keys,
    read_public_keys,
    write_private_key,
    write_public_key,
)
from tests.kernel.keys import PEERS, seed_of

WORKSPACE = UUID(int=7)
JO = Caller(WORKSPACE, "jo", "person", frozenset({"scans.read", "scans.run"}), UUID(int=3))


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sign_as(clock: Clock, *names: str) -> Signer:
    return Signer({name: private_key(seed_of(name)) for name in names}, clock)


@pytest.fixture
def organ(clock: Clock) -> Verifier:
    """Who lets in whoever asks the organ."""
    return Verifier(["organ"], read_public_keys(PEERS), clock)


@pytest.mark.parametrize(
    ("signer", "caller"),
    [
        ("gateway", JO),
        ("gateway", replace(JO, session=UUID(int=4), address="2001:db8::7")),
        ("gateway", Caller(WORKSPACE, "nightly", "token", frozenset({"scans.read"}), UUID(int=3))),
        ("operator", operator(WORKSPACE)),
        ("shop", JO.through("shop")),
    ],
)
def test_who_asks_arrives_as_it_is(clock: Clock, organ: Verifier, signer: str, caller: Caller) -> None:
    assert organ.verify(sign_as(clock, signer).sign(caller, "organ")) == caller


@pytest.mark.parametrize(
    ("signer", "caller"),
    [
        ("shop", JO),
        ("shop", operator(WORKSPACE)),
        ("gateway", operator(WORKSPACE)),
        ("operator", JO),
        ("shop", JO.through("poet")),
        ("gateway", JO.through("shop")),
    ],
)
def test_nobody_signs_for_whom_it_may_not_speak(clock: Clock, signer: str, caller: Caller) -> None:
    with pytest.raises(Invalid, match="no key to speak for"):
        sign_as(clock, signer).sign(caller, "organ")


def claims(clock: Clock, **changed: Any) -> dict[str, Any]:
    said = {
        "iss": "gateway", "aud": "organ", "iat": int(clock.at), "exp": int(clock.at) + SECONDS, "wsp": str(WORKSPACE),
        "kind": "person", "name": "jo", "sub": str(UUID(int=3)), "may": ["scans.read"],
    }  # fmt: skip
    return {name: value for name, value in {**said, **changed}.items() if value is not None}


def forged(said: Mapping[str, Any], *, by: str = "gateway", **header: Any) -> str:
    """What somebody signs by hand who has the key of ``by``."""
    named = {"alg": "Ed25519", "kid": by, **header}
    return jwt.encode(named, dict(said), private_key(seed_of(by)), algorithms=["Ed25519"])


def test_what_is_signed_by_hand_is_read_as_what_is_not(clock: Clock, organ: Verifier) -> None:
    assert organ.verify(forged(claims(clock))).permissions == {"scans.read"}


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "shop"}, {"aud": None}, {"aud": ["organ"]}, {"iss": "shop"}, {"iss": None},
        {"wsp": "default"}, {"wsp": None}, {"kind": "service", "service": "shop"}, {"kind": "service"},
        {"kind": "root"}, {"service": "gateway", "kind": "service", "iss": "shop"}, {"exp": None}, {"iat": None},
        {"exp": "4102444800"}, {"name": None}, {"may": "scans.read"}, {"sub": "jo"},
    ],
    ids=str,
)  # fmt: skip
def test_what_says_something_else_lets_nobody_in(clock: Clock, organ: Verifier, changed: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        organ.verify(forged(claims(clock, **changed)))


def test_a_service_cannot_say_that_somebody_else_asks(clock: Clock, organ: Verifier) -> None:
    for said in (
        claims(clock), claims(clock, iss="shop"), claims(clock, iss="shop", kind="operator"),
        claims(clock, iss="shop", kind="service", service="poet"), claims(clock, iss="shop", kind="service"),
    ):  # fmt: skip
        with pytest.raises(Unauthenticated):
            organ.verify(forged(said, by="shop"))
        with pytest.raises(Unauthenticated):  # nor by naming another's key
            organ.verify(forged(said, by="shop", kid="gateway"))
    with pytest.raises(Unauthenticated):
        organ.verify(forged(claims(clock, iss="operator"), by="operator"))  # who speaks for itself, not for people


@pytest.mark.parametrize("off", [-SKEW - 1, SECONDS, SECONDS + 1, 86_400])
def test_a_principal_is_good_in_its_own_minute(clock: Clock, organ: Verifier, off: float) -> None:
    signed = forged(claims(clock))
    organ.verify(signed)
    clock.at += off
    with pytest.raises(Unauthenticated, match="of another time"):
        organ.verify(signed) if off > 0 else Verifier(["organ"], read_public_keys(PEERS), clock).verify(signed)


def test_nobody_makes_one_that_lasts(clock: Clock, organ: Verifier) -> None:
    with pytest.raises(Unauthenticated, match="of another time"):
        organ.verify(forged(claims(clock, exp=int(clock.at) + SECONDS + 1)))


def test_who_signs_makes_a_new_one_long_before_the_old_one_ends(clock: Clock, organ: Verifier) -> None:
    signer = sign_as(clock, "gateway")
    first = signer.sign(JO, "organ")
    assert signer.sign(JO, "organ") == first
    clock.at += SECONDS / 2 + 1
    second = signer.sign(JO, "organ")
    assert second != first
    assert organ.verify(first) == organ.verify(second) == JO
    clock.at += SECONDS / 2
    assert organ.verify(second) == JO


def test_one_caller_is_not_taken_for_another_nor_one_service_for_another(clock: Clock) -> None:
    signer = sign_as(clock, "gateway", "operator")
    others = [operator(WORKSPACE), Caller(UUID(int=8), "jo", "person", JO.permissions, JO.account)]
    assert (
        len({signer.sign(JO, "organ"), signer.sign(JO, "shop"), *(signer.sign(each, "organ") for each in others)}) == 4
    )


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_what_is_not_signed_by_a_known_key_lets_nobody_in(clock: Clock, organ: Verifier) -> None:
    signed = forged(claims(clock))
    head, body, signature = signed.split(".")
    stranger = jwt.encode(
        {"alg": "Ed25519", "kid": "gateway"}, claims(clock), OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"]
    )
    public = read_public_keys(PEERS)["gateway"]
    confused = jwt.encode(
        {"alg": "HS256", "kid": "gateway"},
        claims(clock),
        OctKey.import_key(public.as_dict()["x"]),
        algorithms=["HS256"],
    )
    embedded = forged(claims(clock, iss="thief"), by="gateway", kid="thief", jwk=public.as_dict())
    deep = "[" * 5000
    for principal in (
        "", "a", "..", "a.b.c", "é.b.c", stranger, confused, embedded, f"{head}.{body}.", f"{head}.{body}",
        f"{_part({'alg': 'none', 'kid': 'gateway'})}.{body}.", f"{head}.{_part(claims(clock, name='mo'))}.{signature}",
        f"{_part({'alg': 'Ed25519'})}.{body}.{signature}",
        f"{_part({'alg': 'Ed25519', 'kid': ['gateway']})}.{body}.{signature}",
        f"{_part([])}.{body}.{signature}", f"{base64.urlsafe_b64encode(deep.encode()).decode()}.{body}.{signature}",
        f"{head}.{body}.{'A' * len(signature)}", "a" * (LONGEST + 1), "." * LONGEST,
    ):  # fmt: skip
        with pytest.raises(Unauthenticated):
            organ.verify(principal)
    assert organ.verify(signed) == Caller(WORKSPACE, "jo", "person", frozenset({"scans.read"}), UUID(int=3))


def test_what_is_remembered_has_a_bound(clock: Clock, organ: Verifier) -> None:
    signer = sign_as(clock, "gateway")
    for number in range(REMEMBERED + 2):
        signer._made[JO, str(number)] = (0.0, "")
        organ._verified[str(number)] = (0.0, JO)
    assert organ.verify(signer.sign(JO, "organ")) == JO
    assert len(signer._made) == len(organ._verified) == REMEMBERED
    assert (JO, "0") not in signer._made, "what was remembered first is forgotten first"
    assert (JO, "organ") in signer._made


def test_keys_are_read_as_they_are_written_and_none_is_quoted_that_cannot_be() -> None:
    seed = seed_of("shop")
    private = read_private_keys([write_private_key("shop", seed)])["shop"]
    public = read_public_keys([write_public_key("shop", seed)])["shop"]
    assert private.as_dict(private=False) == public.as_dict()
    for wrong in (
        "shop",
        "=" + write_private_key("", seed),
        "shop=c2VjcmV0LXRoaW5n",
        "shop=é",
        write_private_key("shop", seed)[:-1],
    ):
        with pytest.raises(Invalid, match="is none: it is name=KEY") as caught:
            read_private_keys([wrong])
        assert "c2VjcmV0" not in str(caught.value)
