"""Keys of services for tests, made from their names: whoever has one knows all public ones."""

import hashlib
from collections.abc import Mapping
from uuid import UUID

from services.kernel.app import Identify
from services.kernel.calls import Caller, operator
from services.kernel.errors import Unauthenticated
from services.kernel.openapi import PRINCIPAL
from services.kernel.principals import (
    Signer,
    Verifier,
    private_key,
    read_public_keys,
    write_private_key,
    write_public_key,
)
from services.kernel.workspace import read_workspace

NAMES = ("gateway", "operator", "ear", "gate", "organ", "poet", "shop")
#: Somewhere to ask.
SOMEWHERE = operator(UUID("5f2c1a6e-9d41-5c4e-8a51-2b7d0f3e6a90"))


def seed_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


PEERS = tuple(write_public_key(name, seed_of(name)) for name in NAMES)
#: The public door's, which may speak for everybody but services.
GATEWAY = write_private_key("gateway", seed_of("gateway"))


def signer(*names: str) -> Signer:
    """Who signs as these services; without any, as all of them."""
    return Signer({name: private_key(seed_of(name)) for name in names or NAMES})


def verifier(*names: str) -> Verifier:
    """Who lets in whoever asks these services."""
    return Verifier(names, read_public_keys(PEERS))


def known_by(token: str) -> Identify:
    """Who has this token is the operator, in the workspace that is named; whoever has another one is told so."""

    async def identify(headers: Mapping[str, str], address: str) -> Caller:
        said = headers.get("authorization")
        if said is None:
            return Caller(SOMEWHERE.workspace, "nobody", permissions=frozenset({"anybody"}), address=address)
        if said != f"Bearer {token}":
            raise Unauthenticated("the token is not the one of this server")
        return operator(read_workspace(headers.get("mirage-workspace", "default").encode("latin-1")))

    return identify


def asking(service: str, caller: Caller = SOMEWHERE) -> dict[str, str]:
    """The header by which a service is asked."""
    return {PRINCIPAL: signer().sign(caller, service)}
