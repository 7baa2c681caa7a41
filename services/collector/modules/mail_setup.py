"""How mail is set up for a domain, asked of the recursive resolvers: who receives it, who may send it (the whole SPF
tree), what DMARC tells receivers to do with the rest, which selectors have DKIM keys and at whom, and to which
providers the owner proved the domain by tokens in TXT records. Only the resolvers and the name servers behind them see
the questions.
"""

import re
from collections.abc import AsyncIterator, Iterator

import msgspec

from services.collector.archetypes import spf
from services.collector.archetypes.mail_providers import microsoft_customer, receiver, sender, verifier
from services.collector.archetypes.names import any_name, name_below
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.answer import Answer as Resolution
from services.collector.resolve.names import unquoted
from services.contracts import entities, relations
from services.contracts.claims import Absence, Claim, Entity

MANIFEST = Manifest(
    id="mail_setup",
    version=2,
    title="Mail setup",
    activity="dns",
    source="https://www.rfc-editor.org/rfc/rfc7208",
    format="https://www.rfc-editor.org/rfc/rfc7489",
    consumes=("domain",),
    produces=(
        "domain",
        "hostname",
        "ip_address",
        "netblock",
        "email_address",
        "dns_record",
        "cloud_tenant",
        "uses_mailserver",
        "has_record",
        "has_contact",
        "mentions",
        "uses",
    ),
    rate=0.0,
    concurrency=16,
    cost=6.0,
    freshness=86_400,
    timeout=120.0,
    licence="none",
)

# Selectors that providers and common servers give out; the DNS cannot list them.
SELECTORS = (
    *("default", "dkim", "mail", "email", "smtp", "mx", "k1", "k2", "k3", "s1", "s2", "m1", "key1", "google", "pm"),
    *("selector1", "selector2", "mandrill", "mailjet", "zoho", "zendesk1", "sig1", "fm1", "protonmail", "hs1"),
)
MAX_INCLUDED = 20
MAX_CLAIMED = 200
_tag = re.compile(r"\s*([a-z]{1,10})\s*=\s*([^;]{0,1000})").match


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    setup = await ctx.dns.ask(seen.value, "MX", "TXT")
    policy = await ctx.dns.ask(f"_dmarc.{seen.value}", "TXT")
    for resolution in (*setup.resolutions, *policy.resolutions):
        if not resolution.asked:
            raise Unreachable(f"{resolution.name} {resolution.type}: {resolution.status}")
    answers = [setup, policy]
    waiting = [included for text in spf_records(setup, seen.value) for included in spf.followed(spf.read_terms(text))]
    asked = {seen.value}
    while waiting and len(asked) <= MAX_INCLUDED:
        name = waiting.pop(0)
        if name in asked:
            continue
        asked.add(name)
        answer = await ctx.dns.ask(name, "TXT")
        answers.append(answer)
        for text in spf_records(answer, name):
            waiting += spf.followed(spf.read_terms(text))
    yield joined(answers)
    async for keys in ctx.dns.sweep([f"{selector}._domainkey.{seen.value}" for selector in SELECTORS], "TXT"):
        yield keys


def joined(answers: list[DnsAnswer]) -> DnsAnswer:
    """One answer of several: what an SPF tree says shows only when it is seen whole."""
    return msgspec.structs.replace(
        answers[0],
        records=tuple(dict.fromkeys(record for answer in answers for record in answer.records)),
        resolutions=tuple(resolution for answer in answers for resolution in answer.resolutions),
    )


def texts_of(answer: DnsAnswer, name: str) -> list[str]:
    """The TXT records of a name, each as one text."""
    return [
        b"".join(unquoted(data)).decode("utf-8", "replace")
        for resolution in answer.resolutions
        if resolution.name == name and resolution.type == "TXT"
        for data in resolution.values[:MAX_CLAIMED]
    ]


def spf_records(answer: DnsAnswer, name: str) -> list[str]:
    return [text for text in texts_of(answer, name) if spf.is_spf(text)]


def parse(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    for resolution in answer.resolutions:
        if resolution.name == seen.value and resolution.type == "MX":
            yield from receivers(resolution, seen)
            yield from senders(answer, seen)
            verifiers = (verifier(text) for text in texts_of(answer, seen.value) if not spf.is_spf(text))
            yield from described(seen, provider_verification=verifiers)
        elif resolution.name == f"_dmarc.{seen.value}" and resolution.asked:
            yield from treatment(texts_of(answer, resolution.name), seen)
        elif resolution.name.endswith(f"._domainkey.{seen.value}"):
            yield from signing(resolution, seen)


def receivers(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    """Mail servers; a single empty one says that no mail is taken (RFC 7505)."""
    records = [record for record in resolution.records if record.type == "MX"][:MAX_CLAIMED]
    hosts = []
    for record in records:
        preference, _, host = record.data.partition(" ")
        server = any_name(host)
        if server is not None and preference.isdecimal() and preference.isascii():
            hosts.append(server.value)
            yield relations.uses_mailserver(seen, server, preference=int(preference[:5]), ttl=record.ttl)
    if hosts:
        yield from described(seen, accepts_mail=True, mail_provider=(receiver(host) for host in hosts))
    elif [record.data.partition(" ")[2] for record in records] == ["."]:
        yield from described(seen, accepts_mail=False)
    elif not records:
        yield Absence(seen, "uses_mailserver")


def senders(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    """The SPF policy and its cost, who may send by it, and the names and networks in it."""
    own = spf_records(answer, seen.value)
    if not own:
        yield from described(seen, spf_policy="none")
        return
    if len(own) == 1:  # several are an error, and a receiver takes none of them (section 4.5)
        yield from described(seen, spf_policy=effective(answer, own[0]), spf_lookups=cost(answer, seen.value))
    home = entities.registered_domain(seen.value)
    included: list[str] = []
    for resolution in answer.resolutions:
        if resolution.type != "TXT" or resolution.name.startswith("_dmarc."):
            continue
        owner = any_name(resolution.name)
        for text in spf_records(answer, resolution.name) if is_below(resolution.name, home) else ():
            terms = spf.read_terms(text)
            included += [term.target for term in terms if term.mechanism in {"include", "redirect"}]
            yield from published(resolution.name, text, terms, owner or seen)
    outside = [name for name in included if "%" not in name and not is_below(name, home)]
    yield from described(seen, mail_sender=(sender(name) or provider_domain(name) for name in outside))


def is_below(name: str, home: Entity) -> bool:
    """Whether a name, which need not be a host's, is in a domain."""
    return name == home.value or name.endswith(f".{home.value}")


def published(owner: str, text: str, terms: list[spf.Term], about: Entity) -> Iterator[Claim]:
    """A record of the organisation's own, with what it names; labels that begin with ``_`` are no hosts."""
    record = sound(entities.dns_record, owner, "TXT", text)
    if record is None:
        return
    yield relations.has_record(about, record)
    for name in list(dict.fromkeys(spf.names_in(terms)))[:MAX_CLAIMED]:
        named = any_name(name)
        if named is not None and named.key != about.key:
            yield relations.mentions(record, named)
    for network in list(dict.fromkeys(spf.networks_in(terms)))[:MAX_CLAIMED]:
        named = sound(entities.netblock if "/" in network else entities.ip_address, network)
        if named is not None:
            yield relations.mentions(record, named)


def effective(answer: DnsAnswer, text: str) -> str:
    """The policy of a record, or of the one that it redirects to."""
    for _ in range(spf.MAX_LOOKUPS):
        terms = spf.read_terms(text)
        target = next((term.target for term in terms if term.mechanism == "redirect"), "")
        if not target or any(term.mechanism == "all" for term in terms):
            break
        following = spf_records(answer, target)
        if len(following) != 1:
            break
        text = following[0]
    return spf.policy(terms)


def cost(answer: DnsAnswer, name: str) -> int:
    return spf.count_lookups(name, lambda one: next(iter(spf_records(answer, one)), None))


def provider_domain(name: str) -> str | None:
    named = any_name(name.lstrip("_").partition("._")[2] or name.lstrip("_"))
    return entities.registered_domain(named.value).value if named is not None else None


def treatment(texts: list[str], seen: Entity) -> Iterator[Claim]:
    """What DMARC (RFC 7489) tells receivers to do with mail that fails, and who hears of it."""
    policies = [text for text in texts if text[:8].lower() == "v=dmarc1"]
    if not policies:
        yield Absence(seen, "dmarc_policy")
        return
    record = sound(entities.dns_record, f"_dmarc.{seen.value}", "TXT", policies[0])
    if record is not None:
        yield relations.has_record(seen, record)
    tags = {found[1].lower(): found[2].strip() for part in policies[0].split(";")[:40] if (found := _tag(part))}
    percentage = tags.get("pct", "100")
    yield from described(
        seen,
        dmarc_policy=tags.get("p", "none").lower(),
        dmarc_subdomain_policy=tags.get("sp", "").lower(),
        dmarc_percentage=int(percentage) if percentage.isdecimal() and len(percentage) <= 3 else None,
    )
    for uri in [*tags.get("rua", "").split(","), *tags.get("ruf", "").split(",")][:20]:
        address = sound(entities.email_address, uri.partition("!")[0])
        if address is not None and name_below(address.key[0].rpartition("@")[2], seen) is not None:
            yield relations.has_contact(seen, address, role="dmarc")


def signing(resolution: Resolution, seen: Entity) -> Iterator[Claim]:
    """A selector has a key when its record holds one; an empty key is one that was taken back (RFC 6376).

    An alias leads to who signs for the domain, whether or not the key is there yet.
    """
    for data in resolution.values[:1]:
        text = b"".join(unquoted(data)).decode("ascii", "replace")
        tags = {found[1].lower(): found[2].strip() for part in text.split(";")[:20] if (found := _tag(part))}
        if tags.get("p"):
            yield from described(seen, dkim_selector=[resolution.name.partition(".")[0]])
    for name in resolution.chain[-1:]:
        yield from described(seen, mail_sender=sender(name))
        customer = microsoft_customer(name)
        tenant = sound(entities.cloud_tenant, "microsoft", customer) if customer else None
        if tenant is not None:
            yield relations.uses(seen, tenant)
