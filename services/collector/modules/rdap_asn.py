"""RDAP is how the regional registries publish who holds autonomous system numbers. The directory of IANA says which
registry knows a number, and that registry is asked: name, holder, contacts, dates. It learns the number.
"""

from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.rdap.bootstrap import ask_registry
from services.collector.archetypes.rdap.numbers import numbers, register_of
from services.collector.archetypes.rdap.objects import read_object
from services.collector.context import Answer, Context, HttpAnswer
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="rdap_asn",
    version=2,
    title="RDAP of autonomous systems",
    activity="passive",
    source="https://about.rdap.org/",
    format="https://www.rfc-editor.org/rfc/rfc9083.html#section-5.5",
    consumes=("asn",),
    produces=(
        "asn",
        "registration",
        "organization",
        "person",
        "email_address",
        "phone_number",
        "location",
        "registered_as",
        "has_contact",
        "member_of",
        "located_at",
        "operated_by",
        "same_as",
    ),
    hosts=("data.iana.org", "*"),
    rate=1.0,
    burst=20,
    freshness=604_800,
    timeout=120.0,
    licence="registries' terms, for operational purposes",
)


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    yield await ask_registry(seen, ctx)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    found = read_object(answer, "autnum")
    if found is None:
        return
    number = int(seen.key[0])
    first = number if found.startAutnum is None else found.startAutnum
    last = first if found.endAutnum is None else found.endAutnum
    # A registry without the number answers with the block that it was handed: not the registration of this one.
    if first <= number <= last and last - first < 1:
        yield from numbers(found, [seen], register_of(answer.url))
