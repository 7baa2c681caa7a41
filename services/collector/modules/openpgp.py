"""keys.openpgp.org keeps OpenPGP keys of mail addresses that their owners confirmed. It is asked for the key of an
address and learns that somebody wanted it; user ids in the key name its owner and their other confirmed addresses.
"""

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from services.collector.archetypes.documents import refuse_pages
from services.collector.archetypes.openpgp_keys import Malformed, read_key
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, HttpAnswer, ParseError
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="openpgp",
    version=2,
    title="keys.openpgp.org",
    activity="passive",
    source="https://keys.openpgp.org/",
    format="https://keys.openpgp.org/about/api",
    consumes=("email_address",),
    produces=("crypto_key", "email_address", "person", "controls"),
    hosts=("keys.openpgp.org",),
    rate=0.0166,
    burst=20,
    freshness=604_800,
    timeout=60.0,
    licence="public key server",
)

MAX_USERS = 50
_user = re.compile(r"([^<]{0,200})<([^<>\s]{3,254})>").fullmatch


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    answer = await ctx.http.get(
        f"https://keys.openpgp.org/vks/v1/by-email/{quote(seen.value, safe='')}", max_bytes=1_000_000
    )
    refuse_pages(answer)
    yield answer


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status == 404:
        return
    try:
        key = read_key(answer.body)
    except Malformed as error:
        raise ParseError(f"{answer.url}: {error}") from error
    entity = sound(entities.crypto_key, "pgp", key.fingerprint)
    if entity is None:
        return
    yield relations.controls(seen, entity)
    yield from described(
        entity,
        key_algorithm=key.algorithm,
        key_size=key.size,
        created_at=key.created * 1_000_000,
        key_owner=key.user_ids[:MAX_USERS],
    )
    person = sound(entities.person, "openpgp", key.fingerprint)
    for user in key.user_ids[:MAX_USERS]:
        named = _user(user)
        address = sound(entities.email_address, named[2] if named else user)
        if address is None:
            continue
        if address.key != seen.key:
            yield relations.controls(address, entity)
        if named and named[1].strip() and person is not None:
            yield relations.controls(person, address)
            yield from described(person, display_name=[named[1].strip()])
