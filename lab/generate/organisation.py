"""The organisation of the lab: Halyard Freight, a forwarder in Liverpool that does not exist.

Telephone numbers are those Ofcom keeps for drama, the AS numbers those of RFC 5398, all names below RFC 2606's
`.example`.
"""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

from lab.providers import openpgp
from lab.world import Account, LegalEntity, Organisation, Person, Repository, Tenant

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DOMAIN = "halyard-freight.example"
OTHER_DOMAINS = ("halyard-cloud.example", "halyardtrack.example")
ASN = 64500
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def lei(prefix: str) -> str:
    """`prefix` (18 characters) with its two check digits (ISO 17442, ISO 7064 MOD 97-10)."""
    return prefix + f"{98 - int(''.join(str(int(character, 36)) for character in prefix) + '00') % 97:02}"


def bitcoin_address(seed: str) -> str:
    """A well-formed pay-to-public-key-hash address to which nobody has the key."""
    payload = b"\0" + hashlib.sha256(seed.encode()).digest()[:20]
    payload += hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(payload), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(payload) - len(payload.lstrip(b"\0"))) + text


def _person(name: str, title: str, bio: str, joined: tuple[int, int], **known: str) -> Person:
    first, last = name.lower().replace("'", "").split()
    began = datetime(*joined, 14, tzinfo=UTC)
    github = known.get("github")
    accounts: tuple[Account, ...] = ()
    if github:
        accounts += (Account(platform="github", handle=github, url=f"https://github.com/{github}"),)
    if "mastodon" in known:
        handle = known["mastodon"]
        accounts += (Account(platform="mastodon", handle=handle, url=f"https://mastodon.social/@{handle}"),)
    if "x" in known:
        accounts += (Account(platform="twitter", handle=known["x"], url=f"https://twitter.com/{known['x']}"),)
    return Person(
        name=name,
        title=title,
        email=f"{first}.{last}@{DOMAIN}",
        phone=known.get("phone"),
        github=github,
        gravatar=known.get("gravatar"),
        pgp=openpgp.fingerprint(name, began) if "pgp" in known else None,
        city=known.get("city", "Liverpool"),
        country="GB",
        bio=bio,
        joined=began,
        accounts=accounts,
    )


PEOPLE = (
    _person(
        "Maren Thorsby",
        "Chief Executive",
        "Moves boxes across seas.",
        (2014, 3),
        phone="+441514960101",
        gravatar="marenthorsby",
        x="marenthorsby",
    ),
    _person(
        "Idris Calloway",
        "Head of Infrastructure",
        "Keeps the lights on at Halyard Freight.",
        (2013, 6),
        phone="+442079460142",
        github="icalloway",
        gravatar="icalloway",
        pgp="yes",
        mastodon="icalloway",
    ),
    _person("Priya Venkat", "Security Engineer", "Breaks it first.", (2016, 9), github="pvenkat", pgp="yes"),
    _person("Tomas Lindqvist", "Platform Engineer", "Go, Postgres, ferries.", (2017, 1), github="tlindqvist-hf"),
    _person("Aoife Brannigan", "Data Engineer", "Tides and timetables.", (2019, 5), github="aoifeb", gravatar="aoifeb"),
    _person("Gwen Pryce", "Customs Lead", "Tariffs by heart.", (2015, 2), phone="+441514960117", gravatar="gwenpryce"),
    _person("Olu Adeyemi", "Product Manager", "Track and trace.", (2020, 8), x="olu_ships", city="London"),
    _person("Hester Quill", "Press Officer", "Ask me about freight.", (2018, 4), phone="+442079460188"),
)


def _repository(name: str, description: str, language: str, stars: int, *topics: str, homepage: str = "") -> Repository:
    return Repository(
        owner="halyard-freight",
        name=name,
        description=description,
        language=language,
        homepage=homepage,
        licence="MIT",
        topics=topics,
        stars=stars,
        forks=stars // 7,
        created=datetime(2019, 1 + stars % 12, 1 + stars % 28, 8, tzinfo=UTC),
        pushed=datetime(2026, 1 + stars % 10, 1 + stars % 27, 16, 20, tzinfo=UTC),
    )


HALYARD = Organisation(
    name="Halyard Freight",
    legal_name="HALYARD FREIGHT LIMITED",
    slug="halyard-freight",
    tagline="Containers, customs and the last mile",
    website=f"https://www.{DOMAIN}/",
    street="14 Capstan Wharf",
    city="Liverpool",
    postcode="L3 4AA",
    country="GB",
    founded=datetime(1998, 4, 6, tzinfo=UTC),
    lei=lei("984500HALYARDFRGT1"),
    asn=ASN,
    domains=(DOMAIN, *OTHER_DOMAINS),
    netblocks=(),
    phones=("+441514960100", "+442079460180"),
    emails=tuple(f"{local}@{DOMAIN}" for local in ("info", "sales", "press", "careers", "security", "hostmaster")),
    accounts=(
        Account(platform="linkedin", handle="halyard-freight", url="https://www.linkedin.com/company/halyard-freight"),
        Account(platform="twitter", handle="halyardfreight", url="https://twitter.com/halyardfreight"),
        Account(platform="facebook", handle="halyardfreight", url="https://www.facebook.com/halyardfreight"),
        Account(platform="instagram", handle="halyardfreight", url="https://www.instagram.com/halyardfreight"),
        Account(platform="youtube", handle="halyardfreight", url="https://www.youtube.com/@halyardfreight"),
        Account(platform="github", handle="halyard-freight", url="https://github.com/halyard-freight"),
    ),
    github="halyard-freight",
    people=PEOPLE,
    repositories=(
        _repository("tidewatch", "Tide and berth forecasts for port calls", "Go", 212, "shipping", "forecast"),
        _repository("manifest-parser", "Reads EDIFACT manifests", "Python", 96, "edifact", "customs"),
        _repository(
            "track-widget", "Embeddable tracking widget", "TypeScript", 41, "widget", homepage=f"https://track.{DOMAIN}"
        ),
        _repository("helm-charts", "Charts for our clusters", "Smarty", 18, "kubernetes", "helm"),
        _repository("quay-sdk-php", "Client of the Halyard booking API", "PHP", 7, "sdk"),
    ),
    tenant=Tenant(
        id=UUID("8f1d2c3e-64a0-4b7b-9c55-0e3f5a1b7d42"),
        brand="Halyard Freight",
        region="EU",
        federation="Managed",
        domains=(DOMAIN, OTHER_DOMAINS[0], "halyardfreight.onmicrosoft.com"),
    ),
    trackers=(
        ("google_analytics", "G-7HLYRD2Q4K"),
        ("google_analytics", "UA-48201937-2"),
        ("google_tag_manager", "GTM-5KHLYD8"),
        ("facebook_pixel", "104857620194833"),
        ("hotjar", "3184226"),
    ),
    crypto_addresses=(
        ("bitcoin", bitcoin_address("halyard-freight donations")),
        ("ethereum", "0x" + hashlib.sha256(b"halyard-freight donations").hexdigest()[:40]),
    ),
)


def _entity(name: str, prefix: str, number: str, form: str, parent: str | None, *others: str) -> LegalEntity:
    return LegalEntity(
        lei=lei(prefix),
        legal_name=name,
        other_names=others,
        street=HALYARD.street,
        city=HALYARD.city,
        postcode=HALYARD.postcode,
        country="GB",
        jurisdiction="GB",
        legal_form=form,
        register="RA000585",
        register_number=number,
        status="ACTIVE",
        founded=HALYARD.founded,
        registered=datetime(2014, 6, 2, 9, tzinfo=UTC),
        updated=datetime(2026, 5, 20, 12, tzinfo=UTC),
        renewal=datetime(2027, 6, 2, 9, tzinfo=UTC),
        managing_lou="213800WAVVOPS85N2205",
        parent=parent,
    )


def legal_entities() -> tuple[LegalEntity, ...]:
    """The target, its parent and a sister company."""
    group = _entity("HALYARD GROUP PLC", "984500HALYARDGRPP2", "03518860", "B6ES", None)
    return (
        _entity(HALYARD.legal_name, "984500HALYARDFRGT1", "03540417", "H0PO", group.lei, "Halyard Freight", "HFL"),
        group,
        _entity("HALYARD CUSTOMS SERVICES LIMITED", "984500HALYARDCUST3", "05120983", "H0PO", group.lei),
    )
