"""The lab's certificate authority: leaf certificates are signed when they are first asked for.

All keys follow from the seed, so that a world's certificates are the same each time. That also makes the
authority's key public: never trust its certificate outside the lab.
"""

import hashlib
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.world import Certificate

Flaw = Literal["expired", "wrong_name", "self_signed"]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group of P-256 (SEC 2, section 2.4.2)."""
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)
AUTHORITY = "Mirage Lab CA"
AUTHORITY_NAME = "Mirage Lab, never to be trusted"
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256"


def _key(seed: int, purpose: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha512(f"mirage lab {purpose} {seed}".encode()).digest())
    return ec.derive_private_key(number % (ORDER - 1) + 1, ec.SECP256R1())


def _weak_key(seed: int) -> rsa.RSAPrivateKey:
    """A key that is too small for anything but to be found."""
    p, q = (_prime(f"mirage lab weak {seed} {half}") for half in "pq")
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    ).private_key()


def _prime(text: str) -> int:
    """The first number from a hash on, 512 bits long, that passes Fermat's test for a few bases."""
    number = int.from_bytes(hashlib.sha512(text.encode()).digest()) | 3 << 510 | 1
    while not all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11)):
        number += 2
    return number


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


class Authority:
    """Issues the certificates of one lab; contexts for the server side are kept by certificate."""

    def __init__(self, seed: int, folder: Path, others: Iterable[str] = ()) -> None:
        """`folder` takes `ca.pem` and, because OpenSSL loads from files only, the keys and each chain.

        others: names of further authorities that are trusted as well.
        """
        self.folder = folder
        self._seed = seed
        self._key = _key(seed, "authority")
        self._leaf_key = _key(seed, "leaf")
        self._signers = {AUTHORITY: (_name(AUTHORITY, AUTHORITY_NAME), self._key)}
        for other in others:
            self._signer(other)
        self._contexts: dict[tuple[str, Flaw | None], ssl.SSLContext] = {}
        self._signed: dict[str, bytes] = {}
        self._leaf_file = folder / "leaf.key"
        self._write_key(self._leaf_file, self._leaf_key)
        self.file = folder / "ca.pem"
        authorities = (self._sign_authority(name, key) for name, key in self._signers.values())
        self.file.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in authorities))

    def _write_key(self, file: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

    def _signer(self, name: str) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
        """The subject and the key of an authority."""
        return self._signers.setdefault(name, (_name(name, name), _key(self._seed, name)))

    def _key_of(self, certificate: Certificate) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
        return self._leaf_key if certificate.key == "P-256" else self._weak

    @cached_property
    def _weak(self) -> rsa.RSAPrivateKey:
        return _weak_key(self._seed)

    def _sign_authority(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(BEGIN)
            .not_valid_after(END)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=False,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)

    def issue(self, certificate: Certificate, flaw: Flaw | None = None) -> x509.Certificate:
        """Sign a leaf certificate, as it should be or with one flaw."""
        own = flaw == "self_signed" or certificate.self_signed
        issuer, signer = self._signer(certificate.issuer)
        key = self._leaf_key if own else signer
        names = ("wrong.host.invalid",) if flaw == "wrong_name" else certificate.names
        subject = _name(names[0], "Halyard Freight Limited")
        end = certificate.not_before + timedelta(days=90) if flaw == "expired" else certificate.not_after
        begin = end - timedelta(days=180) if flaw == "expired" else certificate.not_before
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if own else issuer)
            .public_key(self._key_of(certificate).public_key())
            .serial_number(certificate.serial)
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
                critical=False,
            )
        )
        return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)

    def signed(self, certificate: Certificate) -> bytes:
        """The DER form of a certificate as it should be."""
        if certificate.id not in self._signed:
            self._signed[certificate.id] = self.issue(certificate).public_bytes(serialization.Encoding.DER)
        return self._signed[certificate.id]

    def fingerprint(self, certificate: Certificate) -> str:
        """The SHA-256 fingerprint, in lower case hexadecimal."""
        return hashlib.sha256(self.signed(certificate)).hexdigest()

    def public_keys(self, certificates: Iterable[Certificate] = ()) -> Iterator[str]:
        """The SHA-256 of the public keys of leaf certificates and of the authorities, of their DER form."""
        yield digest_of(self._leaf_key)
        yield from (digest_of(key) for _, key in self._signers.values())
        yield from {digest_of(self._key_of(certificate)) for certificate in certificates}

    def context(self, certificate: Certificate, flaw: Flaw | None = None) -> ssl.SSLContext:
        """What a server presents `certificate` with."""
        kept = self._contexts.get((certificate.id, flaw))
        if kept is None:
            der = (
                self.issue(certificate, flaw).public_bytes(serialization.Encoding.DER)
                if flaw
                else self.signed(certificate)
            )
            kept = self._contexts[certificate.id, flaw] = self.bare_context()
            chain = self.folder / "chain.pem"
            chain.write_text(ssl.DER_cert_to_PEM_cert(der))
            kept.load_cert_chain(chain, self._key_file(certificate, kept))
            chain.unlink()
        return kept

    def _key_file(self, certificate: Certificate, context: ssl.SSLContext) -> Path:
        """The file with the private key of `certificate`; one that is too small needs a context that takes it."""
        if certificate.key == "P-256":
            return self._leaf_file
        context.set_ciphers("ALL:@SECLEVEL=0")
        file = self.folder / "weak.key"
        self._write_key(file, self._weak)
        return file

    def bare_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.num_tickets = 0
        return context


def digest_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
