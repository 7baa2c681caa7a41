"""The keys that sign access tokens: each signs for a month, and is published a day before and a day after."""

from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import msgspec
from msgspec import Struct

from services.auth.domain.keys import KEY_REMEMBERED, KEY_SIGNS, signs, successor_begins
from services.auth.domain.times import SECOND
from services.auth.store import keys as key_store
from services.contracts.resources import PublishedKeys
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

#: Seconds for which a process goes by the keys that it has read.
READ_EVERY: Final = 60
KIND: Final = "signing key"


class Ring(Struct):
    """The keys as they were read at an instant, and those that were opened."""

    keys: list[key_store.SigningKey]
    at: int
    opened: "dict[str, OKPKey]"


async def signing_key(ports: Ports) -> "tuple[str, OKPKey]":
    """The key that signs now, with its id."""
    at = now()
    ring: Ring | None = ports.state.get("keys")
    if ring is None or at - ring.at > READ_EVERY * SECOND or signs(ring.keys, at) is None:
        ring = Ring(await keep_keys(ports, at), at, ring.opened if ring is not None else {})
        ports.state["keys"] = ring
    key = signs(ring.keys, at)
    if key is None:
        raise Unavailable("no key signs at this moment")
    if key.kid not in ring.opened:
        ring.opened[key.kid] = open_key(ports, KIND, key.kid, key.sealed)
    return key.kid, ring.opened[key.kid]


async def publish_keys(ports: Ports, caller: Caller, question: Nothing) -> PublishedKeys:
    """All that a token may be signed by which is good, and those that will sign soon."""
    keys = await keep_keys(ports, now())
    return PublishedKeys(tuple(msgspec.json.decode(key.published) for key in keys))


async def keep_keys(ports: Ports, at: int) -> list[key_store.SigningKey]:
    """The keys that sign at an instant, did or will; one that is due is made."""
    async with ports.sql.read() as view:
        keys = await key_store.read_signing_keys(view, at - KEY_REMEMBERED)
    if successor_begins(keys, at) is None:
        return keys
    async with ports.sql.begin() as tx:
        await tx.lock("signing keys")
        keys = await key_store.read_signing_keys(tx, at - KEY_REMEMBERED)
        begins = successor_begins(keys, at)
        if begins is not None:
            await key_store.forget_signing_keys(tx, at - KEY_REMEMBERED)
            made = _make(ports, begins)
            await key_store.add_signing_key(tx, made)
            keys.append(made)
    return keys


def _make(ports: Ports, begins: int) -> key_store.SigningKey:
    made = make_key(ports, KIND)
    return key_store.SigningKey(made.kid, made.sealed, made.published, begins, begins + KEY_SIGNS)


class MadeKey(NamedTuple):
    """A new key: its id, itself under seal, and what is published of it (RFC 7517), as JSON."""

    kid: str
    sealed: str
    published: str


def make_key(ports: Ports, kind: str) -> MadeKey:
    """A key that signs; ``kind`` is what it is called under its seal."""
    from joserfc.jwk import OKPKey

    kid, key = uuid4().hex, OKPKey.generate_key("Ed25519")
    private = msgspec.json.encode(key.as_dict(private=True)).decode()
    published = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "Ed25519"}
    return MadeKey(kid, ports.seal.seal(f"{kind} {kid}", private), msgspec.json.encode(published).decode())


def open_key(ports: Ports, kind: str, kid: str, sealed: str) -> "OKPKey":
    from joserfc.jwk import OKPKey

    return OKPKey.import_key(msgspec.json.decode(ports.seal.open(f"{kind} {kid}", sealed)))
