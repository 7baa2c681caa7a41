"""What a domain asks of those who send it mail, and how it wants to be shown: MTA-STS (RFC 8461), TLS reporting
(RFC 8460) and BIMI. The records come from the resolvers; the MTA-STS policy from the target's own web server, which
learns that it was asked for.
"""

import re
from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.names import any_name, name_below
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.urls import host_in
from services.collector.context import Answer, Context, DnsAnswer, HttpAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.names import unquoted
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="mail_policy",
    version=2,
    title="MTA-STS, TLS reporting, BIMI",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc8461",
    format="https://datatracker.ietf.org/doc/draft-brand-indicators-for-message-identification/",
    consumes=("domain",),
    produces=(
        "dns_record",
        "domain",
        "email_address",
        "hostname",
        "url",
        "has_record",
        "mentions",
    ),
    rate=0.0,
    concurrency=16,
    cost=3.0,
    timeout=60.0,
    licence="the target's own",
)

OWNERS = ("_mta-sts", "_smtp._tls", "default._bimi")
MAX_POLICY = 65_536  # RFC 8461, section 3.3 asks for no more than 64 KB
MAX_VALUES = 50
_tag = re.compile(r"([a-z]{1,16}+)\s*+=\s*+(.*+)", re.IGNORECASE).fullmatch


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    unanswered = ""
    has_policy = False
    for owner in OWNERS:
        answer = await ctx.dns.ask(f"{owner}.{seen.value}", "TXT")
        if texts(answer):
            yield answer
        unanswered = unanswered or next((one.name for one in answer.resolutions if not one.asked), "")
        has_policy = has_policy or any(text.lower().startswith("v=stsv1") for text in texts(answer))
    if has_policy:
        # Redirects are not followed, RFC 8461, section 3.3.
        url = f"https://mta-sts.{seen.value}/.well-known/mta-sts.txt"
        yield await ctx.http.get(url, statuses="any", redirects=0, max_bytes=MAX_POLICY, timeout=20.0, verify=False)
    if unanswered:
        raise Unreachable(f"the texts of {unanswered} are not known")


def parse(answer: DnsAnswer | HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if isinstance(answer, HttpAnswer):
        yield from policy(answer, seen)
        return
    for resolution in answer.resolutions:
        for record in resolution.records:
            if record.type == "TXT":
                yield from published(resolution.name, text_of(record.data), record.ttl, seen)


def published(owner: str, text: str, ttl: int, seen: Entity) -> Iterator[Claim]:
    """A record, by the version that it begins with; other texts at such a name are none of ours."""
    tags = tags_of(text)
    version = tags.get("v", [""])[0].lower()
    record = sound(entities.dns_record, owner, "TXT", text)
    if record is None or version not in {"stsv1", "tlsrptv1", "bimi1"}:
        return
    yield relations.has_record(seen, record, ttl=ttl)
    places = [
        place for value in (*tags.get("rua", ()), *tags.get("l", ()), *tags.get("a", ())) for place in value.split(",")
    ]
    if version == "tlsrptv1":
        yield from described(seen, tls_reporting=[place.strip() for place in places[:MAX_VALUES]])
    elif version == "bimi1":
        yield from described(seen, bimi_logo=tags.get("l", [""])[0], bimi_certificate=tags.get("a", [""])[0])
    for place in places[:MAX_VALUES]:
        yield from pointed(record, place.strip(), seen)


def pointed(record: Entity, place: str, seen: Entity) -> Iterator[Claim]:
    """The mailbox, or the host of the URL, that a record names."""
    if place[:7].lower() == "mailto:":
        mailbox = sound(entities.email_address, place)
        if mailbox is not None:
            yield mailbox
            yield relations.mentions(record, mailbox)
        return
    host = any_name(host_in(place))
    if host is not None:
        if name_below(host.value, seen):
            yield host
        yield relations.mentions(record, host)


def policy(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    """The policy that mail servers read; a certificate that does not hold makes it void, and is told with the host."""
    fields: dict[str, list[str]] = {}
    for line in answer.text().splitlines()[:500]:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), []).append(value.strip()[:256])
    host = sound(entities.hostname, host_in(answer.url))
    if host is not None:
        yield host
    if answer.status != 200 or fields.get("version", [""])[0].lower() != "stsv1":
        return
    age = fields.get("max_age", [""])[0]
    servers = list(dict.fromkeys(fields.get("mx", ())))[:MAX_VALUES]
    yield from described(
        seen,
        mta_sts_mode=fields.get("mode", [""])[0].lower(),
        mta_sts_max_age=int(age) if age.isascii() and age.isdecimal() and len(age) < 12 else None,
        mta_sts_host=servers,
    )
    for server in servers:
        exchanger = name_below(server, seen)
        if exchanger is not None and not server.startswith("*.") and exchanger.key != seen.key:
            yield exchanger


def text_of(data: str) -> str:
    return b"".join(unquoted(data)).decode("utf-8", "replace")


def texts(answer: DnsAnswer) -> list[str]:
    return [
        text_of(record.data)
        for resolution in answer.resolutions
        for record in resolution.records
        if record.type == "TXT"
    ]


def tags_of(text: str) -> dict[str, list[str]]:
    """``name=value`` pairs between semicolons."""
    found: dict[str, list[str]] = {}
    for part in text[:4096].split(";")[:MAX_VALUES]:
        if match := _tag(part.strip()):
            found.setdefault(match[1].lower(), []).append(match[2])
    return found
