"""WHOIS is the protocol that RDAP replaces, and many country registries speak nothing else. IANA says which server
knows a domain; that server, and the registrar's if it names one, are asked for it. All three learn the domain.
"""

from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.names import any_name
from services.collector.archetypes.registrations import registered
from services.collector.archetypes.whois import (
    NAME,
    REFERRAL,
    Fields,
    fields,
    first,
    has_facts,
    is_nothing,
    refusal_of,
    registration_of,
)
from services.collector.context import Answer, Context, ParseError, Skipped, SourceError, TextAnswer
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="whois",
    version=2,
    title="WHOIS",
    activity="passive",
    source="https://www.iana.org/whois",
    format="https://www.rfc-editor.org/rfc/rfc3912.html",
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
    hosts=("whois.iana.org", "*"),
    rate=0.5,
    burst=5,
    cost=3.0,
    freshness=86_400,
    timeout=120.0,
    licence="registries' terms, for look-ups of single names",
)

ROOT = "whois.iana.org"
# What some servers want beside the name: an exact match, or an answer in ASCII or in English.
QUERIES = {"whois.verisign-grs.com": "domain {}", "whois.denic.de": "-T dn,ace {}", "whois.jprs.jp": "{}/e"}


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    top = seen.key[0].rpartition(".")[2]
    root = await ctx.whois.ask(ROOT, top)
    server = referral(fields(root.text()))
    if server is None:
        raise Skipped(f"the registry of .{top} has no WHOIS server")
    answer = await ask(ctx, server, seen)
    yield answer
    registrar = referral(fields(answer.text()))
    if registrar is not None and registrar not in {server, ROOT}:
        try:
            yield await ask(ctx, registrar, seen)
        except SourceError:
            return  # the registry has answered; registrars often do not


async def ask(ctx: Context, server: str, seen: Entity) -> TextAnswer:
    """Ask one server.

    Raises:
        RateLimited, Blocked, Unreachable: it says so in its text, the only way it has.
    """
    answer = await ctx.whois.ask(server, QUERIES.get(server, "{}").format(seen.key[0]))
    text = answer.text()
    refusal = None if has_facts(fields(text)) else refusal_of(text, server)
    if refusal is not None:
        raise refusal
    return answer


def referral(found: Fields) -> str | None:
    """The server that knows more."""
    name = first(found, REFERRAL).lower().removeprefix("whois://").removeprefix("https://").strip("/ ")
    server = any_name(name)
    return server.key[0] if server is not None else None


def parse(answer: TextAnswer, seen: Entity) -> Iterator[Claim]:
    text = answer.text()
    found = fields(text)
    if not has_facts(found):
        if is_nothing(text) or not text.strip():
            return
        raise ParseError(f"{answer.server}: no field of a registration is known")
    name = first(found, NAME).lower().rstrip(".")
    if name in {"", seen.key[0]}:
        yield from registered(seen, registration_of(found))
