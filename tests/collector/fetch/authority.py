"""Certificates that a client trusts, and such as it does not."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path


def general_name(text: str):
    """A name or an address as a certificate has it."""
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Signer:
    """An authority that the client trusts, and what it would not have signed."""

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "ca.pem"
        self._authority = self._sign("Test Authority", [], self._key, -1, 1, authority=True)
        self.file.write_bytes(self._pem(self._authority))

    def context(self, name: str, *, days: tuple[int, int] = (-1, 1), trusted: bool = True) -> ssl.SSLContext:
        """A server's context with a certificate for ``name`` that holds between these days from now."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = self._sign(name, [name], key, *days, signer=self._key if trusted else key)
        path = self._folder / f"{len(list(self._folder.iterdir()))}.pem"
        path.write_bytes(self._pem(certificate) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(self, common_name, names, key, first, last, *, signer=None, authority=False):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import NameOID

        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        issuer = subject if authority or signer is key else self._authority.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=first))
            .not_valid_after(now + dt.timedelta(days=last))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(signer or key, hashes.SHA256())

    @staticmethod
    def _pem(certificate) -> bytes:
        from cryptography.hazmat.primitives import serialization

        return certificate.public_bytes(serialization.Encoding.PEM)
