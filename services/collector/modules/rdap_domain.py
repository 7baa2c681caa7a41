"""RDAP is how registries publish registrations. The directory of IANA says which registry knows a domain, the registry
and then the registrar it names are asked for it: holder, contacts, dates, state, name servers. Both learn the domain.
"""

from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.contacts import Contact
from services.collector.archetypes.documents import fitting
from services.collector.archetypes.rdap.bootstrap import ACCEPT, ask_registry, related
from services.collector.archetypes.rdap.objects import NameServer, Object, contacts_of, parties, read_object
from services.collector.archetypes.registrations import Registered, registered
from services.collector.context import Answer, Context, HttpAnswer, SourceError
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="rdap_domain",
    version=2,
    title="RDAP of domains",
    activity="passive",
    source="https://about.rdap.org/",
    format="https://www.rfc-editor.org/rfc/rfc9083.html",
    consumes=("domain",),
    produces=(
        "domain",
        "hostname",
        "registration",
        "organization",
        "person",
        "email_address",
        "phone_number",
        "location",
        "registered_as",
        "uses_nameserver",
        "has_contact",
        "member_of",
        "located_at",
        "operated_by",
    ),
    hosts=("data.iana.org", "*"),
    rate=1.0,
    burst=20,
    concurrency=4,
    cost=2.0,
    freshness=86_400,
    timeout=120.0,
    licence="registries' terms, for look-ups of single names",
)


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    answer = await ask_registry(seen, ctx)
    yield answer
    found = read_object(answer, "domain")
    more = related(found.related()) if found else None
    if more:
        try:
            yield await ctx.http.get(more, headers=ACCEPT)
        except SourceError:
            return  # the registry has answered; registrars often do not


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    found = read_object(answer, "domain")
    if found is not None and (found.ldhName or seen.key[0]).lower().rstrip(".") == seen.key[0]:
        yield from registered(seen, registration_of(found))


def registration_of(found: Object) -> Registered:
    """The facts of a domain object; its registrar is one of its entities."""
    known = list(parties(found.entities))
    contacts = [contact for party in known for contact in contacts_of(party)]
    registrar = next((party for party in known if "registrar" in party.roles), None)
    named = next((contact for contact in contacts if contact.role == "registrar"), Contact(role="registrar"))
    return Registered(
        handle=found.handle or "",
        created=found.happened("registration"),
        updated=found.happened("last changed"),
        expires=found.happened("expiration", "registrar expiration"),
        transferred=found.happened("transfer"),
        status=found.state(),
        registrar=named.organisation or named.name,
        registrar_id=registrar.public_id("IANA Registrar ID") if registrar else "",
        registrar_urls=named.urls,
        reseller=next((contact.company or contact.name for contact in contacts if contact.role == "reseller"), ""),
        nameservers=tuple(server.ldhName for server in fitting(found.nameservers or (), NameServer)),
        signed=found.signed(),
        whois_server=found.port43 or "",
        reference=found.references(),
        contacts=tuple(contact for contact in contacts if contact.role not in {"registrar", "reseller"}),
    )
