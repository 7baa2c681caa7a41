"""What is found on the web and on cloud platforms: certificates, software, trackers, fingerprints, resources, files."""

import re
from uuid import UUID

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.text import folded, hexadecimal, line, token
from services.contracts.names import shown

_uuid = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}").fullmatch
_cpe_uri = re.compile(r"cpe:/[aoh](?::[^:]*){0,6}", re.IGNORECASE).fullmatch
_cpe_parts = re.compile(r"(?:[^:\\]|\\.)+").findall
_integer = re.compile(r"-?[0-9]{1,10}").fullmatch

_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
_HEX_FINGERPRINTS = {
    "jarm": 62, "ja3": 32, "ja3s": 32, "hassh": 32, "hassh_server": 32,
    "favicon_md5": 32, "favicon_sha256": 64, "body_sha256": 64,
}  # fmt: skip
_FORGES = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket", "codeberg.org": "codeberg"}


def certificate(sha256: str) -> Entity:
    """An X.509 certificate by the SHA-256 of its DER bytes."""
    return Entity("certificate", certificate_key(sha256))


def technology(name: str, version: str = "") -> Entity:
    """Software or hardware by name and version, or by a CPE name of form 2.2 or 2.3 (NISTIR 7695)."""
    return Entity("technology", technology_key(name, version))


def web_tracker(kind: str, id: str) -> Entity:
    """An analytics or advertising account that pages carry, such as ``("google_analytics", "G-ABC123")``."""
    return Entity("web_tracker", web_tracker_key(kind, id))


def fingerprint(algorithm: str, value: str) -> Entity:
    """How a server or page looks to an algorithm: ``jarm``, ``ja4s``, ``hassh``, ``favicon_mmh3`` and others."""
    return Entity("fingerprint", fingerprint_key(algorithm, value))


def cloud_resource(provider: str, kind: str, name: str) -> Entity:
    """A bucket, application or endpoint at a cloud provider, such as ``("aws", "bucket", "assets")``."""
    return Entity("cloud_resource", cloud_resource_key(provider, kind, name))


def cloud_tenant(provider: str, id: str) -> Entity:
    """A customer of a cloud provider, by the provider's id."""
    return Entity("cloud_tenant", cloud_tenant_key(provider, id))


def mobile_app(store: str, bundle: str) -> Entity:
    """An application in a store (``google_play``, ``app_store``), by its bundle id."""
    return Entity("mobile_app", mobile_app_key(store, bundle))


def code_repository(forge: str, path: str) -> Entity:
    """A repository on a forge: ``("github", "owner/name")``; a forge of one's own goes by its host name."""
    return Entity("code_repository", code_repository_key(forge, path))


def file(digest: str) -> Entity:
    """A file by its strongest known digest: SHA-512, SHA-256, SHA-1 or MD5 by length."""
    return Entity("file", file_key(_DIGESTS.get(len(digest.strip()), "sha256"), digest))


def certificate_key(sha256: str) -> tuple[str]:
    return (hexadecimal(sha256.strip(), "the SHA-256 of a certificate", 64),)


def technology_key(name: str, version: str = "") -> tuple[str, str]:
    plain = line(name, "the name of a technology", limit=256)
    release = line(version, "a version", limit=128) if version.strip() else ""
    if plain[:4].lower() == "cpe:":
        return (_cpe(plain, release), "")
    return (folded(plain, "the name of a technology", limit=256), release)


def web_tracker_key(kind: str, account: str) -> tuple[str, str]:
    family = token(kind, "a kind of web tracker")
    plain = line(account, "the id of a web tracker", limit=128)
    return (family, plain.upper() if family.startswith("google_") and plain.isascii() else plain)


def fingerprint_key(algorithm: str, value: str) -> tuple[str, str]:
    kind = token(algorithm, "a fingerprint algorithm")
    if kind in _HEX_FINGERPRINTS:
        return (kind, hexadecimal(value.strip(), f"a fingerprint of algorithm {kind}", _HEX_FINGERPRINTS[kind]))
    if kind == "favicon_mmh3":
        if not _integer(value.strip()) or not -(2**31) <= int(value) < 2**31:
            raise Malformed(f"{shown(value)} is not a signed 32-bit hash")
        return (kind, str(int(value)))
    return (kind, folded(value, "a fingerprint", limit=256))


def cloud_resource_key(provider: str, kind: str, name: str) -> tuple[str, str, str]:
    where = token(provider, "a cloud provider")
    return (where, token(kind, "a kind of cloud resource"), folded(name, "the name of a cloud resource"))


def cloud_tenant_key(provider: str, tenant: str) -> tuple[str, str]:
    plain = line(tenant, "the id of a cloud tenant", limit=256)
    if _uuid(plain.lower()):
        plain = str(UUID(plain))
    return (token(provider, "a cloud provider"), plain)


def mobile_app_key(store: str, bundle: str) -> tuple[str, str]:
    return (token(store, "an application store"), line(bundle, "the id of an application", limit=256))


def code_repository_key(forge: str, path: str) -> tuple[str, str]:
    where = token(forge, "a forge")
    where = _FORGES.get(where, where)
    plain = (folded if where in _FORGES.values() else line)(path, "the path of a repository")
    while (shorter := plain.strip("/ ").removesuffix(".git")) != plain:
        plain = shorter
    if not plain:
        raise Malformed(f"{shown(path)} is not the path of a repository")
    return (where, plain)


def file_key(algorithm: str, digest: str) -> tuple[str, str]:
    kind = algorithm.strip().lower().replace("-", "")
    for length, known in _DIGESTS.items():
        if kind == known:
            return (kind, hexadecimal(digest.strip(), f"the {known} of a file", length))
    raise Malformed(f"{shown(algorithm)} is not a digest of files; there are {', '.join(_DIGESTS.values())}")


def _cpe(text: str, release: str) -> str:
    """The formatted string of CPE 2.3 with thirteen parts; a release fills a version that says any."""
    named = _cpe_23_of_uri(text) if _cpe_uri(text) else text.lower()
    parts = _cpe_parts(named)
    sound = 6 <= len(parts) <= 13 and ":".join(parts) == named and parts[1] == "2.3" and parts[2] in ("a", "o", "h")
    if not sound or parts[4] == "*":
        raise Malformed(f"{shown(text)} is not a CPE name of a product")
    parts += ["*"] * (13 - len(parts))
    if release and parts[5] == "*":
        parts[5] = re.sub(r"([^a-z0-9._-])", r"\\\1", release.lower().replace(" ", "_"))
    return ":".join(parts)


def _cpe_23_of_uri(text: str) -> str:
    parts = text.lower()[5:].split(":")
    parts += [""] * (4 - len(parts))
    return ":".join(["cpe:2.3", *(re.sub(r"([^a-z0-9._-])", r"\\\1", part) or "*" for part in parts)])
