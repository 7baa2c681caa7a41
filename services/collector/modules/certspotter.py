"""Cert Spotter (SSLMate) indexes the Certificate Transparency logs. It is asked for a domain and lists the certificates
issued for names at or below it, with every name that each is for, oldest first; it learns the domain.
"""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlencode

from msgspec import Struct

from services.collector.archetypes.documents import refuse_pages, rows, secret
from services.collector.archetypes.names import Period, during, name_below, seen_names
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer, Truncated
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="certspotter",
    version=2,
    title="Cert Spotter",
    activity="passive",
    source="https://sslmate.com/ct_search_api/",
    format="https://sslmate.com/help/reference/ct_search_api_v1",
    consumes=("domain",),
    produces=("domain", "hostname", "certificate", "organization", "covers_name", "issued_by"),
    hosts=("api.certspotter.com",),
    options={"pages": 10},
    key="certspotter",
    rate=0.5,
    burst=10,
    quota={"hour": 100},
    cost=2.0,
    freshness=86_400,
    timeout=600.0,
    licence="public record (Certificate Transparency)",
    key_adds="no other names, but a limit of its own instead of the one for all who ask from this address",
)

API = "https://api.certspotter.com/v1/issuances"
MAX_COVERED = 8_000  # relations from one page


class Issuer(Struct):
    name: str | None = None
    friendly_name: str | None = None


class Issuance(Struct):
    """``cert_sha256`` is of the certificate, or of the pre-certificate when only that was logged."""

    id: str
    dns_names: list[str] = []
    cert_sha256: str | None = None
    tbs_sha256: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    revoked: bool | None = None
    issuer: Issuer | None = None


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    question = [("domain", seen.value), ("include_subdomains", "true"), ("expand", "dns_names"), ("expand", "issuer")]
    key = secret(ctx, "Authorization:", "Bearer {key}")
    after = ""
    for _ in range(int(ctx.options["pages"])):
        answer = await ctx.http.get(API + asked(question, after), secret=key, statuses=(200,))
        refuse_pages(answer)
        issuances = rows(answer, Issuance)
        yield answer
        if not issuances or issuances[-1].id == after:
            return
        after = issuances[-1].id
    raise Truncated(f"there may be more than {ctx.options['pages']} pages of certificates")


def asked(question: list[tuple[str, str]], after: str) -> str:
    """The query; ``expand`` stands in it more than once."""
    return "?" + urlencode([*question, ("after", after)] if after else question)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    issuances = rows(answer, Issuance)
    sightings = ((name, period(issuance)) for issuance in issuances for name in issuance.dns_names)
    yield from seen_names(sightings, seen)
    left = MAX_COVERED
    for issuance in issuances:
        certificate = sound(entities.certificate, issuance.cert_sha256 or "")
        if certificate is not None and any(name_below(name, seen) for name in issuance.dns_names):
            names = list(dict.fromkeys(issuance.dns_names))[:left]
            left -= len(names)
            yield from described_certificate(certificate, issuance, names)


def described_certificate(certificate: Entity, issuance: Issuance, names: list[str]) -> Iterator[Claim]:
    """The certificate, all names it is for, whoever they belong to, and who issued it."""
    issuer = issuance.issuer or Issuer()
    yield during(certificate, period(issuance))
    yield from described(
        certificate,
        issuer=issuer.name,
        not_before=instant(issuance.not_before),
        not_after=instant(issuance.not_after),
        tbs_sha256=issuance.tbs_sha256,
        revoked=issuance.revoked,
        name_count=len(issuance.dns_names),
    )
    for text in names:
        name = sound(entities.name, entities.unwildcard(text))
        if name is not None:
            yield relations.covers_name(certificate, name, wildcard=text.startswith("*."), field="san")
    organization = sound(entities.organization, "name", issuer.friendly_name or "")
    if organization is not None:
        yield relations.issued_by(certificate, organization)


def period(issuance: Issuance) -> Period:
    return (instant(issuance.not_before), instant(issuance.not_after))
