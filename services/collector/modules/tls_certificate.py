"""The certificates that the target's own servers present. A handshake on port 443 of each address of a host, and on the
TLS ports that are known to be exposed, shows which host and port presents which certificate, whom it names, who issued
it, and whether a client would trust it. The server that is asked learns the name that was asked for.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from services.collector.archetypes.names import Period, during
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context, ParseError, Refused, TlsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity, Relation

if TYPE_CHECKING:
    from cryptography import x509

MANIFEST = Manifest(
    id="tls_certificate",
    version=1,
    title="TLS certificates of servers",
    activity="active",
    source="https://www.rfc-editor.org/rfc/rfc8446",
    format="https://www.rfc-editor.org/rfc/rfc5280",
    consumes=("domain", "hostname", "exposes"),
    produces=(
        "certificate",
        "crypto_key",
        "domain",
        "email_address",
        "hostname",
        "ip_address",
        "organization",
        "service",
        "covers_name",
        "exposes",
        "issued_by",
        "presents",
        "serves",
        "uses",
    ),
    options={"addresses": 2},
    rate=0.0,
    concurrency=32,
    cost=1.0,
    timeout=60.0,
    licence="the target's own",
)

E = TypeVar("E", bound="x509.ExtensionType")

SECONDS = 10.0
MAX_NAMES = 500
MAX_CHAIN = 10

# Ports where TLS begins with the first byte, by the IANA registry and by common use.
TLS_PORTS = frozenset(
    {443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2083, 2087, 2096, 2376, 4443, 5061, 5223, 5671, 5986, 6443,
     6514, 6697, 7443, 8140, 8443, 8883, 9443, 10250, 10443}
)  # fmt: skip

# CA/Browser Forum, Baseline Requirements 7.1.6.1.
VALIDATIONS = {
    "2.23.140.1.1": "extended",
    "2.23.140.1.2.1": "domain",
    "2.23.140.1.2.2": "organization",
    "2.23.140.1.2.3": "individual",
}

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


class Certificate(Struct, frozen=True, kw_only=True):
    """What a certificate says. Times are UTC microseconds, digests lower-case hexadecimal.

    ``names`` are (name or address or mailbox, ``san`` or ``cn``); ``organisation`` and ``country`` are the issuer's.
    """

    sha256: str
    sha1: str
    tbs_sha256: str
    subject: str
    issuer: str
    organisation: str
    country: str
    serial: str
    period: Period
    names: tuple[tuple[str, str], ...]
    signature_algorithm: str
    key_algorithm: str
    key_size: int | None
    spki_sha256: str
    self_signed: bool
    authority: bool
    validation: str


async def collect(seen: Entity | Relation, ctx: Context) -> AsyncIterator[Answer]:
    name, port = "", 443
    if isinstance(seen, Entity):
        name = seen.value
        addresses = (await ctx.dns.addresses(name))[: int(ctx.options["addresses"])]
    else:
        address, transport, exposed = seen.target.key
        port = int(exposed)
        if transport != "tcp" or port not in TLS_PORTS:
            return
        if seen.source.type != "ip_address":
            if port == 443:
                return
            name = seen.source.value
        addresses = (address,)
    trouble: Unreachable | None = None
    for address in addresses:
        try:
            yield await ctx.tls.handshake(address, port, name, timeout=SECONDS)
        except Refused:
            continue
        except Unreachable as error:
            trouble = error
    if trouble:
        raise trouble


def parse(answer: TlsAnswer, seen: Entity | Relation) -> Iterator[Claim]:
    service = sound(entities.service, answer.address, "tcp", answer.port)
    if service is None:
        return
    name = sound(entities.name, answer.server_name) if answer.server_name else None
    sni = name.value if name else ""
    yield relations.exposes(entities.ip_address(service.key[0]), service)
    yield from described(service, tls=True, tls_version=answer.version, application_protocol=answer.alpn)
    if name:
        yield relations.serves(service, name, sni=sni)
    if not answer.chain:
        return
    leaf = read_certificate(answer.chain[0])
    certificate = entities.certificate(leaf.sha256)
    yield during(certificate, leaf.period)
    yield relations.presents(service, certificate, sni=sni, position=0)
    if answer.verified:
        # A name that does not match is the server's fault; all else is the certificate's own.
        yield from described(service if "mismatch" in answer.verified else certificate, trust_error=answer.verified)
    yield from character(certificate, leaf)
    yield from covered(certificate, leaf, sni)
    yield from issuer_of(certificate, leaf, answer.chain)


def character(certificate: Entity, facts: Certificate) -> Iterator[Claim]:
    """The fields of a certificate; what it is not is left out."""
    begin, end = facts.period
    yield from described(
        certificate,
        subject=facts.subject,
        issuer=facts.issuer,
        serial_number=facts.serial,
        not_before=begin,
        not_after=end,
        certificate_sha1=facts.sha1,
        tbs_sha256=facts.tbs_sha256,
        signature_algorithm=facts.signature_algorithm,
        key_algorithm=facts.key_algorithm,
        key_size=facts.key_size,
        self_signed=facts.self_signed or None,
        certificate_authority=facts.authority or None,
        validation=facts.validation,
    )
    if facts.spki_sha256:
        yield relations.uses(certificate, entities.crypto_key("spki", facts.spki_sha256))


def covered(certificate: Entity, facts: Certificate, sni: str) -> Iterator[Claim]:
    """Everything that a certificate is for; names below the domain that was asked about are claimed as such too."""
    own = sound(entities.registered_domain, sni) if sni else None
    for text, field in facts.names[:MAX_NAMES]:
        target = sound(covered_thing, text)
        if target is None:
            continue
        if own and target.value != sni and target.value.endswith(f".{own.value}"):
            yield target
        covers = relations.covers_name(certificate, target, wildcard=text.startswith("*."), field=field)
        yield during(covers, facts.period)


def covered_thing(text: str) -> Entity:
    """A name, an address or a mailbox, by its form."""
    if "@" in text:
        return entities.email_address(text)
    if ":" in text or text[-1:].isdigit():
        return entities.ip_address(text)
    return entities.name(entities.unwildcard(text))


def issuer_of(certificate: Entity, facts: Certificate, chain: tuple[bytes, ...]) -> Iterator[Claim]:
    """Who signed a certificate: an organisation by its name, and the certificate above it where that was sent."""
    organisation = sound(entities.organization, "name", facts.organisation, facts.country)
    if organisation is not None and not facts.self_signed:
        yield relations.issued_by(certificate, organisation)
    for der in chain[1:MAX_CHAIN]:
        above = sound_certificate(der)
        if above and above.subject == facts.issuer and above.sha256 != facts.sha256:
            signer = entities.certificate(above.sha256)
            yield relations.issued_by(certificate, signer)
            yield from described(signer, subject=above.subject)
            return


def sound_certificate(der: bytes) -> Certificate | None:
    try:
        return read_certificate(der)
    except ParseError:
        return None


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> Certificate:
    """Read a certificate (RFC 5280); hosts that share one are many, so the last few are remembered.

    Raises:
        ParseError: it is none.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return _facts(x509.load_der_x509_certificate(der), der)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ParseError(f"no certificate: {error}") from error


def _facts(certificate: "x509.Certificate", der: bytes) -> Certificate:
    algorithm, size, spki = _key(certificate)
    issuer = certificate.issuer
    return Certificate(
        sha256=hashlib.sha256(der).hexdigest(),
        sha1=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        tbs_sha256=hashlib.sha256(_signed_part(certificate)).hexdigest(),
        subject=certificate.subject.rfc4514_string()[:2048],
        issuer=issuer.rfc4514_string()[:2048],
        organisation=_first(issuer, "2.5.4.10"),
        country=_first(issuer, "2.5.4.6"),
        serial=f"{abs(certificate.serial_number):x}",
        period=(_micros(certificate.not_valid_before_utc), _micros(certificate.not_valid_after_utc)),
        names=_names(certificate),
        signature_algorithm=_algorithm(certificate),
        key_algorithm=algorithm,
        key_size=size,
        spki_sha256=spki,
        self_signed=_is_self_signed(certificate),
        authority=_is_authority(certificate),
        validation=_validation(certificate),
    )


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _first(name: "x509.Name", oid: str) -> str:
    return next((str(part.value) for part in name if part.oid.dotted_string == oid), "").strip()[:200]


def _algorithm(certificate: "x509.Certificate") -> str:
    oid = certificate.signature_algorithm_oid
    return getattr(oid, "_name", "") or oid.dotted_string


def _signed_part(certificate: "x509.Certificate") -> bytes:
    """What a log signs where the certificate was logged before it was issued (RFC 6962, section 3.2)."""
    try:
        return certificate.tbs_precertificate_bytes
    except ValueError:
        return certificate.tbs_certificate_bytes


def _key(certificate: "x509.Certificate") -> tuple[str, int | None, str]:
    """Kind, size in bits and SHA-256 of the public key; a kind that is not known has neither."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = certificate.public_key()
        spki = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    except (ValueError, UnsupportedAlgorithm):
        return "", None, ""
    match key:
        case rsa.RSAPublicKey():
            return "RSA", key.key_size, spki
        case ec.EllipticCurvePublicKey():
            return f"EC {CURVES.get(key.curve.name, key.curve.name)}", key.key_size, spki
        case dsa.DSAPublicKey():
            return "DSA", key.key_size, spki
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256, spki
        case ed448.Ed448PublicKey():
            return "Ed448", 456, spki
    return "", None, spki


def _names(certificate: "x509.Certificate") -> tuple[tuple[str, str], ...]:
    """The subject's alternative names, then common names that are no repetition of them."""
    from cryptography import x509

    found: dict[str, str] = {}
    extension = _extension(certificate, x509.SubjectAlternativeName)
    for general in extension or ():
        if isinstance(general, x509.DNSName | x509.IPAddress | x509.RFC822Name):
            found.setdefault(str(general.value).lower(), "san")
    for part in certificate.subject:
        text = str(part.value).lower()
        if part.oid.dotted_string == "2.5.4.3" and "." in text and " " not in text:
            found.setdefault(text, "cn")
    return tuple(found.items())


def _is_self_signed(certificate: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if certificate.issuer != certificate.subject:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: "x509.Certificate") -> bool:
    from cryptography import x509

    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _validation(certificate: "x509.Certificate") -> str:
    from cryptography import x509

    policies = _extension(certificate, x509.CertificatePolicies) or ()
    known = (VALIDATIONS.get(policy.policy_identifier.dotted_string) for policy in policies)
    return next(filter(None, known), "")


def _extension(certificate: "x509.Certificate", kind: type[E]) -> E | None:
    """An extension, None where it is missing or is not what it should be."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
