"""crt.sh searches the Certificate Transparency logs. It is asked for a domain, or for the organisation in certificates,
and lists the names and e-mail addresses that certificates were issued for; it learns what was asked. The
certificates themselves are not claimed, because its JSON has no fingerprint of them.
"""

from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from services.collector.archetypes.documents import refuse_pages, rows
from services.collector.archetypes.names import Period, any_name, during, join, seen_names, weighed
from services.collector.archetypes.sound import sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer, Truncated, Unreachable
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity, Malformed

MANIFEST = Manifest(
    id="crtsh",
    version=3,
    title="crt.sh",
    activity="passive",
    source="https://crt.sh/",
    format="https://github.com/crtsh/certwatch_db/blob/master/fnc/web_apis.fnc",
    consumes=("domain", "organization"),
    produces=("domain", "hostname", "email_address", "operated_by"),
    hosts=("crt.sh",),
    affiliates=False,
    rate=0.2,
    burst=5,
    freshness=86_400,
    timeout=600.0,
    licence="public record (Certificate Transparency)",
)

MAX_BYTES = 40_000_000
SAID_BY_CUSTOMER = 60  # some authorities check the organisation that a request names, some leave it as it comes
MAX_NAMES = 80_000
MOST_COUNTED = 10_000  # certificates of one answer; of more it takes these at random and does not say so
MAX_OWNED = 5_000
MAX_LINES = 20  # of a row; a certificate has one organisation, seldom a few


class Row(Struct):
    name_value: str
    common_name: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    result_count: int = 0


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    if seen.type == "organization" and seen.key[0] != "name":
        return  # certificates have names only, and the name that it is the same as is asked for by itself
    question = {"O": seen.key[1]} if seen.type == "organization" else {"q": f"%.{seen.value}"}
    question |= {"output": "json", "deduplicate": "Y"}
    reason = "its database could not list certificates that have expired"
    try:
        answer = await _ask(ctx, question)
    except Unreachable:
        pass  # a long history is more than its database can sort in its own time limit
    else:
        yield answer
        if sum(row.result_count for row in rows(answer, Row)) < MOST_COUNTED:
            return
        reason = f"there are more than {MOST_COUNTED:,} certificates"
    # What is valid today is often less.
    yield await _ask(ctx, question | {"exclude": "expired"})
    raise Truncated(reason)


async def _ask(ctx: Context, question: dict[str, str]) -> HttpAnswer:
    answer = await ctx.http.get("https://crt.sh/", question, statuses=(200,), max_bytes=MAX_BYTES, timeout=120.0)
    refuse_pages(answer)
    return answer


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    found = rows(answer, Row)
    if seen.type == "organization":
        yield from owned(found, seen)
        return
    sightings = [(text, valid(row)) for row in found for text in said(row)]
    yield from seen_names(((text, period) for text, period in sightings if "@" not in text), seen, MAX_NAMES)
    yield from mailboxes(((text, period) for text, period in sightings if "@" in text), seen)


def valid(row: Row) -> Period:
    return (instant(row.not_before), instant(row.not_after))


def said(row: Row) -> Iterator[str]:
    """The names of a row: one a line, and the common name, which the lines leave out when the search missed it."""
    yield from row.name_value.splitlines()
    if row.common_name and row.common_name not in row.name_value:
        yield row.common_name


def mailboxes(sightings: Iterator[tuple[str, Period]], seen: Entity) -> Iterator[Claim]:
    """E-mail addresses at or below the domain, as S/MIME certificates carry them."""
    apex = seen.key[0]
    found: dict[Entity, Period] = {}
    for text, period in sightings:
        host = text.rpartition("@")[2].lower()
        if host != apex and not host.endswith("." + apex):
            continue
        try:
            address = entities.email_address(text)
        except Malformed:
            continue
        found[address] = join(found.get(address, period), period)
    for address, period in found.items():
        yield during(address, period)


def owned(found: list[Row], seen: Entity) -> Iterator[Claim]:
    """Common names of certificates that were issued to the organisation.

    The lines of a row are what the search met, here the organisation in the certificate. It meets every organisation
    that has the words in its name, and only the one of that very name is meant.
    """
    names: dict[str, tuple[Entity, Period]] = {}
    for row in found:
        name = any_name(row.common_name or "") if is_issued_to(row, seen) else None
        if name is not None and (name.value in names or len(names) < MAX_OWNED):
            period = valid(row)
            names[name.value] = (name, join(names.get(name.value, (name, period))[1], period))
    for name, period in names.values():
        yield during(name, period)
        yield during(weighed(relations.operated_by(name, seen), SAID_BY_CUSTOMER), period)


def is_issued_to(row: Row, seen: Entity) -> bool:
    organisations = (sound(entities.organization, "name", line) for line in row.name_value.splitlines()[:MAX_LINES])
    return any(organisation is not None and organisation.key[1] == seen.key[1] for organisation in organisations)
