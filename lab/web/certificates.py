"""The lab's certificate authority: leaf certificates are signed when they are first asked for.

All keys follow from the seed, so that a world's certificates are the same each time. That also makes the
authority's key public: never trust its certificate outside the lab.
"""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.world import Certificate

Flaw = Literal["expired", "wrong_name", "self_signed"]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group of P-256 (SEC 2, section 2.4.2)."""
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)
AUTHORITY_NAME = "Mirage Lab, never to be trusted"
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256"


def _key(seed: int, purpose: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha512(f"mirage lab {purpose} {seed}".encode()).digest())
    return ec.derive_private_key(number % (ORDER - 1) + 1, ec.SECP256R1())


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


class Authority:
    """Issues the certificates of one lab; contexts for the server side are kept by certificate."""

    def __init__(self, seed: int, folder: Path) -> None:
        """`folder` takes `ca.pem` and, because OpenSSL loads from files only, the key and each chain."""
        self.folder = folder
        self._key = _key(seed, "authority")
        self._leaf_key = _key(seed, "leaf")
        self._subject = _name("Mirage Lab CA", AUTHORITY_NAME)
        self._authority = self._sign_authority()
        self._contexts: dict[tuple[str, Flaw | None], ssl.SSLContext] = {}
        self._signed: dict[str, bytes] = {}
        self._leaf_file = folder / "leaf.key"
        self._leaf_file.write_bytes(
            self._leaf_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._authority.public_bytes(serialization.Encoding.PEM))

    def _sign_authority(self) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._subject)
            .issuer_name(self._subject)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(BEGIN)
            .not_valid_after(END)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
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
        return builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)

    def issue(self, certificate: Certificate, flaw: Flaw | None = None) -> x509.Certificate:
        """Sign a leaf certificate, as it should be or with one flaw."""
        own = flaw == "self_signed"
        names = ("wrong.host.invalid",) if flaw == "wrong_name" else certificate.names
        subject = _name(names[0], "Halyard Freight Limited")
        end = certificate.not_before + timedelta(days=90) if flaw == "expired" else certificate.not_after
        begin = end - timedelta(days=180) if flaw == "expired" else certificate.not_before
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if own else self._subject)
            .public_key(self._leaf_key.public_key())
            .serial_number(certificate.serial)
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key((self._leaf_key if own else self._key).public_key()),
                critical=False,
            )
        )
        return builder.sign(self._leaf_key if own else self._key, hashes.SHA256(), ecdsa_deterministic=True)

    def signed(self, certificate: Certificate) -> bytes:
        """The DER form of a certificate as it should be."""
        if certificate.id not in self._signed:
            self._signed[certificate.id] = self.issue(certificate).public_bytes(serialization.Encoding.DER)
        return self._signed[certificate.id]

    def fingerprint(self, certificate: Certificate) -> str:
        """The SHA-256 fingerprint, in lower case hexadecimal."""
        return hashlib.sha256(self.signed(certificate)).hexdigest()

    def public_keys(self) -> list[str]:
        """The SHA-256 of the public keys of the leaf certificates and of the authority, of their DER form."""
        keys = (self._leaf_key.public_key(), self._key.public_key())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return [hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest() for key in keys]

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
            kept.load_cert_chain(chain, self._leaf_file)
            chain.unlink()
        return kept

    def bare_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.num_tickets = 0
        return context


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
