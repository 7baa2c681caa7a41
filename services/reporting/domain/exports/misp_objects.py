"""Entities as objects of MISP (https://www.misp-standard.org, core format): which template, which attributes.

Where MISP has a template for such a thing it is that; else an object called ``mirage-`` and the type, which MISP takes
without a template.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from services.contracts.claims import Entity
from services.reporting.domain.exports.places import box_of


class Template(NamedTuple):
    """A template of MISP, by which its own objects go."""

    name: str
    uuid: str
    version: str
    category: str


class Part(NamedTuple):
    """An attribute of an object: which of it, of which type of MISP, and what."""

    relation: str
    type: str
    value: str


#: The version that templates of `misp-objects` have there; MISP takes older and newer ones.
_TEMPLATES: Final = {
    each.name: each
    for each in (
        Template("annotation", "5d8dc046-15a1-4ca3-a09f-ed4ede7c4487", "3", "misc"),
        Template("asn", "4ec55cc6-9e49-4c64-b794-03c25c1a6587", "6", "network"),
        Template("bank-account", "b4712203-95a8-4883-80e9-b566f5df11c9", "3", "financial"),
        Template("coin-address", "d0e6997e-78da-4815-a6a1-cfc1c1cb8a46", "7", "financial"),
        Template("dns-record", "f023c8f0-81ab-41f3-9f5d-fa597a34a9b9", "2", "network"),
        Template("domain-ip", "43b3b146-77eb-4931-b4cc-b66c60f28734", "11", "network"),
        Template("file", "688c46fb-5edb-40a3-8273-1af7923e2215", "25", "file"),
        Template("geolocation", "cd6f2238-ba55-4888-82c4-104e6e1acf21", "8", "misc"),
        Template("ip-port", "9f8cea74-16fe-4968-a2b4-026676949ac6", "10", "network"),
        Template("organization", "f750e12b-127a-432c-b022-b3f9153c4e2a", "9", "misc"),
        Template("person", "a15b0477-e9d1-4b9c-9546-abe78a4f4248", "21", "misc"),
        Template("url", "60efb77b-40b5-4c46-871b-ed1ed999fce5", "10", "network"),
        Template("user-account", "49606b06-22f0-4ac8-8eee-2f12ad46f3d3", "6", "misc"),
        Template("vulnerability", "81650945-f186-437b-8945-9f31715d32da", "12", "vulnerability"),
        Template("x509", "d1ab756a-26b5-4349-9f43-765630f0911c", "14", "network"),
    )
}
#: Categories of types, as `describeTypes` of MISP has them.
CATEGORIES: Final = {
    "text": "Other", "datetime": "Other", "float": "Other", "cpe": "External analysis", "link": "External analysis",
    "vulnerability": "External analysis", "mobile-application-id": "Payload delivery", "md5": "Payload delivery",
    "sha1": "Payload delivery", "sha256": "Payload delivery", "sha512": "Payload delivery",
    "github-repository": "Social network", "email": "Social network", "phone-number": "Person", "full-name": "Person",
    "btc": "Financial fraud", "xmr": "Financial fraud", "iban": "Financial fraud",
}  # fmt: skip
_NETWORK: Final = "Network activity"
_RECORDS: Final = {
    "A": ("a-record", "ip-dst"), "AAAA": ("aaaa-record", "ip-dst"), "CNAME": ("cname-record", "domain"),
    "NS": ("ns-record", "domain"), "PTR": ("ptr-record", "domain"), "TXT": ("txt-record", "text"),
}  # fmt: skip
_FINGERPRINTS: Final = {
    "jarm": "jarm-fingerprint", "favicon_mmh3": "favicon-mmh3", "hassh": "hassh-md5",
    "hassh_server": "hasshserver-md5", "ja3": "ja3-fingerprint-md5",
}  # fmt: skip


def category_of(kind: str) -> str:
    """The category that attributes of a type have."""
    return CATEGORIES.get(kind, _NETWORK)


def template_of(name: str) -> Template | None:
    """The template of MISP that is called so; None where it is one of Mirage's objects."""
    return _TEMPLATES.get(name)


def parts_of(entity: Entity) -> tuple[str, list[Part]]:
    """The name of the object that an entity is, and its attributes."""
    form = _FORMS.get(entity.type)
    if form is not None:
        return form(*entity.key)
    return f"mirage-{entity.type}", [Part(entity.type, "text", entity.value)]


def _one(name: str, relation: str, kind: str) -> Callable[..., tuple[str, list[Part]]]:
    return lambda value, *_: (name, [Part(relation, kind, value)])


def _service(address: str, transport: str, port: str) -> tuple[str, list[Part]]:
    return "ip-port", [
        Part("ip-dst", "ip-dst", address),
        Part("dst-port", "port", port),
        Part("protocol", "text", transport),
    ]


def _record(owner: str, kind: str, data: str) -> tuple[str, list[Part]]:
    known = _RECORDS.get(kind)
    if known is None or not data:
        return "mirage-dns_record", [Part("dns_record", "text", f"{owner} {kind} {data}")]
    return "dns-record", [Part("queried-domain", "domain", owner), Part(*known, data)]


def _fingerprint(algorithm: str, value: str) -> tuple[str, list[Part]]:
    kind = _FINGERPRINTS.get(algorithm)
    return "mirage-fingerprint", [Part(algorithm, kind or "text", value if kind else f"{algorithm}:{value}")]


def _technology(name: str, version: str) -> tuple[str, list[Part]]:
    if name.startswith("cpe:"):
        return "mirage-technology", [Part("cpe", "cpe", name)]
    return "mirage-technology", [Part("technology", "text", f"{name} {version}".strip())]


def _repository(forge: str, path: str) -> tuple[str, list[Part]]:
    kind = "github-repository" if forge == "github" else "text"
    return "mirage-code_repository", [Part("path", kind, path if forge == "github" else f"{forge}/{path}")]


def _file(algorithm: str, digest: str) -> tuple[str, list[Part]]:
    return "file", [Part(algorithm, algorithm, digest)]


def _account(platform: str, handle: str) -> tuple[str, list[Part]]:
    return "user-account", [Part("username", "text", handle), Part("account-type", "text", platform)]


def _person(source: str, handle: str) -> tuple[str, list[Part]]:
    return "person", [Part("handle", "text", f"{source}:{handle}")]


def _organization(scheme: str, identity: str, country: str = "") -> tuple[str, list[Part]]:
    if scheme == "name":
        return "organization", [Part("name", "text", f"{identity} ({country})" if country else identity)]
    return "organization", [Part("alias", "text", f"{scheme}:{identity}")]


def _location(kind: str, value: str, country: str = "") -> tuple[str, list[Part]]:
    said = [Part("countrycode", "text", country)] if country else []
    if kind == "geohash":
        latitude, longitude, metres = box_of(value)
        return "geolocation", [
            Part("latitude", "float", str(latitude)),
            Part("longitude", "float", str(longitude)),
            Part("accuracy-radius", "float", str(metres)),
        ]
    if kind == "address":
        return ("geolocation" if country else "mirage-location"), [Part("address", "text", value), *said]
    return "geolocation", [Part("countrycode" if kind == "country" else kind, "text", value), *said]


def _coin(chain: str, address: str) -> tuple[str, list[Part]]:
    known = {"bitcoin": ("address", "btc"), "monero": ("address-xmr", "xmr")}.get(chain, ("address-crypto", "text"))
    return "coin-address", [Part(*known, address), Part("symbol", "text", chain)]


def _payment(kind: str, value: str, hmac: str = "") -> tuple[str, list[Part]]:
    if kind == "iban":
        return "bank-account", [Part("iban", "iban", value)]
    return "mirage-payment_instrument", [Part(kind, "text", value)]  # the number of a card is masked, and so is none


_FORMS: Final[dict[str, Callable[..., tuple[str, list[Part]]]]] = {
    "domain": _one("domain-ip", "domain", "domain"),
    "hostname": _one("domain-ip", "hostname", "hostname"),
    "ip_address": _one("domain-ip", "ip", "ip-dst"),
    "netblock": _one("mirage-netblock", "cidr", "ip-dst"),
    "asn": _one("asn", "asn", "AS"),
    "dns_record": _record,
    "service": _service,
    "mac_address": _one("mirage-mac_address", "address", "mac-address"),
    "url": _one("url", "url", "url"),
    "certificate": _one("x509", "x509-fingerprint-sha256", "x509-fingerprint-sha256"),
    "technology": _technology,
    "fingerprint": _fingerprint,
    "mobile_app": lambda store, bundle: (
        "mirage-mobile_app",
        [Part("bundle", "mobile-application-id", bundle), Part("store", "text", store)],
    ),
    "code_repository": _repository,
    "file": _file,
    "email_address": _one("mirage-email_address", "address", "email"),
    "phone_number": _one("mirage-phone_number", "number", "phone-number"),
    "username": _one("user-account", "username", "text"),
    "account": _account,
    "person": _person,
    "organization": _organization,
    "location": _location,
    "crypto_address": _coin,
    "payment_instrument": _payment,
    "vulnerability": _one("vulnerability", "id", "vulnerability"),
    "publication": _one("mirage-publication", "url", "link"),
}
