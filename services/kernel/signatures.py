"""Statements that are signed, and may be kept and shown anywhere: a JSON Web Signature (RFC 7515) in its compact form.

Ed25519 (RFC 9864). A statement says in its header of which type it is, so that one kind is never taken for another,
and by which key it was signed.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from services.kernel.errors import Corrupt

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

LONGEST: Final = 400_000
_ALGORITHMS: Final = ["Ed25519"]


def sign(payload: bytes, kind: str, kid: str, key: "OKPKey") -> str:
    """Sign a statement of a kind (``typ``)."""
    from joserfc import jws

    header = {"alg": "Ed25519", "typ": kind, "kid": kid}
    return jws.serialize_compact(header, payload, key, algorithms=_ALGORITHMS)


def payload_of(signed: str) -> bytes:
    """What was signed, unverified: for who has kept it himself.

    Raises:
        Corrupt: it has not the form.
    """
    try:
        return base64.b64decode(signed.split(".")[1] + "==", altchars=b"-_")
    except (ValueError, IndexError) as error:
        raise Corrupt("this is no signed statement") from error


def verify(signed: str, kind: str, published: Sequence[Mapping[str, Any]]) -> bytes:
    """The statement of a kind that one of the ``published`` keys (RFC 7517) has signed.

    Raises:
        Corrupt: it is none, of another kind, or not as it was signed.
    """
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    if len(signed) > LONGEST:
        raise Corrupt("a signed statement is shorter than that")
    try:
        header = jws.extract_compact(signed.encode("ascii")).headers()
        key = next((each for each in published if each["kid"] == header.get("kid")), None)
        if key is None:
            raise Corrupt("a key has signed this that is none of the workspace")
        found = jws.deserialize_compact(signed, OKPKey.import_key(dict(key)), algorithms=_ALGORITHMS)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Corrupt("this was not signed, or is not as it was signed") from error
    if header.get("typ") != kind:
        raise Corrupt(f"this is no {kind}")
    return found.payload
