"""A browser with an authenticator in it: strict about the options that it is given, and lying where it is told to.

It makes what Web Authentication Level 3 has in 5.1.8 (the JSON forms), 5.8.1 (client data), 6.1 (authenticator data)
and 6.5.1 (attested credential data), with keys of RFC 9053.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Literal
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from msgspec import Struct

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 1, 4, 8, 16, 64
ORIGIN = "http://localhost:8080"
ALGORITHMS = {"ES256": -7, "EdDSA": -8}

Json = dict[str, Any]


class Refused(Exception):
    """A browser or an authenticator does not do that."""


class Credential(Struct):
    id: bytes
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    rp: str
    user: bytes
    count: int


class Authenticator:
    """``counts``: whether it counts its signatures; ``verifies``: whether it verifies its person.

    ``rp``: for whom it says that it signs, if not for whom it is asked to; ``frame``: whether that is within a page of
    somebody else; ``synced``: whether its keys are kept elsewhere too.
    """

    def __init__(
        self,
        algorithm: Literal["ES256", "EdDSA"] = "ES256",
        *,
        origin: str = "http://localhost:8080",
        counts: bool = True,
    ) -> None:
        self.algorithm = algorithm
        self.origin = origin
        self.counts = counts
        self.verifies = True
        self.synced = False
        self.frame = False
        self.rp = ""
        self.credentials: list[Credential] = []

    def create(self, options: Json, identity: bytes = b"") -> Json:
        """What `navigator.credentials.create` answers, by its `toJSON`; ``identity`` is one that it took over."""
        rp = self._check_rp(options["rp"]["id"])
        selection = options["authenticatorSelection"]
        if selection["residentKey"] != "required" or selection["userVerification"] != "required":
            raise Refused("this is no passkey")
        if ALGORITHMS[self.algorithm] not in {each["alg"] for each in options["pubKeyCredParams"]}:
            raise Refused("it signs otherwise")
        if {_bytes(each["id"]) for each in options["excludeCredentials"]} & {each.id for each in self.credentials}:
            raise Refused("it has one already")
        user = _bytes(options["user"]["id"])
        if not 1 <= len(user) <= 64 or not options["user"]["name"] or len(_bytes(options["challenge"])) < 16:
            raise Refused("the options are not sound")
        ecdsa = self.algorithm == "ES256"
        key = ec.generate_private_key(ec.SECP256R1()) if ecdsa else ed25519.Ed25519PrivateKey.generate()
        made = Credential(id=identity or secrets.token_bytes(32), key=key, rp=rp, user=user, count=0)
        self.credentials.append(made)
        attested = bytes(15) + b"\1" + len(made.id).to_bytes(2) + made.id + cbor2.dumps(_cose(key))
        data = self._data(made, ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": self._client_data("webauthn.create", options["challenge"]),
            "attestationObject": _text(attestation), "authenticatorData": _text(data), "transports": ["internal"],
            "publicKeyAlgorithm": ALGORITHMS[self.algorithm],
        }  # fmt: skip
        return self._credential(made, response)

    def get(self, options: Json) -> Json:
        """What `navigator.credentials.get` answers, by its `toJSON`: with the passkey that was made last."""
        rp = self._check_rp(options["rpId"])
        if options["userVerification"] != "required" or options["allowCredentials"]:
            raise Refused("nobody is asked for by name here, and everybody is verified")
        found = [each for each in self.credentials if each.rp == rp]
        if not found:
            raise Refused("it has none")
        data = self._data(found[-1])
        client_data = self._client_data("webauthn.get", options["challenge"])
        signed = data + hashlib.sha256(_bytes(client_data)).digest()
        key = found[-1].key
        signature = key.sign(signed) if isinstance(key, ed25519.Ed25519PrivateKey) else key.sign(signed, _ECDSA)
        response = {
            "clientDataJSON": client_data, "authenticatorData": _text(data), "signature": _text(signature),
            "userHandle": _text(found[-1].user),
        }  # fmt: skip
        return self._credential(found[-1], response)

    def _check_rp(self, rp: str) -> str:
        host = urlsplit(self.origin).hostname or ""
        if host != rp and not host.endswith(f".{rp}"):
            raise Refused(f"{host} may not ask for what is of {rp}")
        return rp

    def _data(self, credential: Credential, flags: int = 0) -> bytes:
        credential.count += self.counts
        flags |= PRESENT | (VERIFIED if self.verifies else 0) | (ELIGIBLE | BACKED_UP if self.synced else 0)
        rp = self.rp or credential.rp
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + credential.count.to_bytes(4)

    def _client_data(self, kind: str, challenge: str) -> str:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.frame}
        return _text(json.dumps(said).encode())

    def _credential(self, credential: Credential, response: Json) -> Json:
        return {
            "id": _text(credential.id), "rawId": _text(credential.id), "type": "public-key", "response": response,
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        }  # fmt: skip


_ECDSA = ec.ECDSA(hashes.SHA256())


def _cose(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> dict[int, Any]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
    public = key.public_key().public_numbers()
    return {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
