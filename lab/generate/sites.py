"""What web hosts show: titles, products, pages, certificates."""

import random
from datetime import UTC, datetime
from hashlib import sha256

from msgspec import structs

from lab.generate.draft import Draft, NameDraft, SiteDraft
from lab.generate.organisation import HALYARD, NOW
from lab.generate.placement import CDN, HTTP, HTTPS, WITHOUT_SITE, Placement
from lab.generate.technologies import EDGERAY, favicon, technologies
from lab.world import Certificate, LoggedCertificate, Page, Site, Stranger, Wildcard

AUTHORITY = "Mirage Lab CA"
ALWAYS = frozenset(("www", "api", "portal", "track", "shop", "blog", "careers", "docs", "status", "support", "mta-sts"))
OWN_ICON = frozenset(("git", "jira", "wiki", "grafana", "mon", "jenkins", "webmail", "mail", "blog"))
WILDCARD_CERTIFICATE = "wildcard"
SHARED_CERTIFICATE = "edge"
LOG_ISSUERS = (
    (183267, "C=US, O=Let's Encrypt, CN=R3"),
    (295815, "C=US, O=Let's Encrypt, CN=R10"),
    (286236, "C=US, O=Google Trust Services, CN=WR1"),
    (
        185756,
        "C=GB, ST=Greater Manchester, L=Salford, O=Sectigo Limited, CN=Sectigo RSA Domain Validation Secure Server CA",
    ),
)


def furnish(draft: Draft, placement: Placement, seed: int) -> None:
    """Give sites, ports and certificates to the names that serve the web."""
    rng = random.Random(f"{seed} furniture")
    for name in draft.names.values():
        if name.label in WITHOUT_SITE or name.label in ("ns1", "ns2", "mx1"):
            continue
        if name.name != draft.domain and name.label not in ALWAYS and rng.random() > 0.78:
            continue
        title, products = technologies(name.label, HALYARD.name, rng)
        site = name.site = SiteDraft(title=title, technologies=products)
        site.icon = name.label if name.label in OWN_ICON else HALYARD.slug
        site.pages.append(Page(path="/", title=title, text=_text(name.label)))
        site.certificate = _certificate(draft, name, rng)
        placement.open(name, *((HTTP, HTTPS) if site.certificate else (HTTP,)))
        if name.cname and name.cname.endswith(CDN):
            site.technologies = (EDGERAY, *products[1:])
        if name.name == draft.domain:
            site.redirect = HALYARD.website
    _write_home_page(draft)


def _text(label: str) -> str:
    return f"This is the {label} service of {HALYARD.name}. {HALYARD.tagline}."


def _certificate(draft: Draft, name: NameDraft, rng: random.Random) -> str | None:
    """The id of the certificate that `name` presents: its own, the wildcard, the edge's shared one, or none."""
    if name.cname and name.cname.endswith(CDN):
        draft.sans.setdefault(SHARED_CERTIFICATE, [f"sni.{CDN}"]).append(name.name)
        return SHARED_CERTIFICATE
    roll = rng.random()
    if name.label not in ALWAYS and roll < 0.08:
        return None
    single = name.name.count(".") == draft.domain.count(".") + 1
    if single and name.label not in ALWAYS and roll < 0.35:
        draft.sans.setdefault(WILDCARD_CERTIFICATE, [f"*.{draft.domain}", draft.domain])
        return WILDCARD_CERTIFICATE
    draft.sans[name.name] = [name.name]
    return name.name


def _write_home_page(draft: Draft) -> None:
    """The organisation's own pages: contact, people, accounts, and links to its better known sites."""
    home = draft.names[draft.fqdn("www")].site
    assert home is not None
    linked = [
        draft.fqdn(label) for label in ("track", "portal", "shop", "blog", "careers", "docs", "support", "status")
    ]
    home.pages = [
        Page(
            path="/",
            title=home.title,
            text=f"{HALYARD.legal_name} moves containers from {HALYARD.city} to everywhere since 1998.",
            links=("/about", "/contact", "/team", *(f"https://{name}/" for name in linked if name in draft.names)),
            emails=(HALYARD.emails[0], HALYARD.emails[1]),
            phones=(HALYARD.phones[0],),
            accounts=tuple(account.url for account in HALYARD.accounts),
        ),
        Page(path="/about", title="About us", text=f"Registered in England. LEI {HALYARD.lei}.", links=("/",)),
        Page(
            path="/contact",
            title="Contact",
            text=f"{HALYARD.street}, {HALYARD.city}, {HALYARD.postcode}",
            links=("/", "https://www.openstreetmap.org/#map=17/53.4047/-2.9947"),
            emails=HALYARD.emails[:4],
            phones=HALYARD.phones,
        ),
        Page(
            path="/team",
            title="Our crew",
            text="; ".join(f"{person.name}, {person.title}" for person in HALYARD.people),
            emails=tuple(person.email for person in HALYARD.people[:4]),
            phones=tuple(person.phone for person in HALYARD.people if person.phone),
            accounts=tuple(account.url for person in HALYARD.people for account in person.accounts),
            crypto_addresses=tuple(address for _, address in HALYARD.crypto_addresses),
        ),
    ]


def build_site(draft: Draft, name: NameDraft) -> Site | None:
    """Freeze a site; products, links and names to allow come together in headers and pages."""
    site = name.site
    if site is None:
        return None
    headers = [header for product in site.technologies for header in product.headers] + site.headers
    if site.connects or name.label in ("www", "portal"):
        allowed = " ".join(("'self'", *site.connects))
        headers.append(("Content-Security-Policy", f"default-src 'self'; connect-src {allowed}"))
    front = name.label in ("www", "blog", "shop", "careers")
    pages = list(site.pages)
    linked = tuple(page.path for page in pages[1:] if page.path not in pages[0].links)
    home = () if name.label == "www" else (HALYARD.website,)
    pages[0] = structs.replace(pages[0], links=(*pages[0].links, *home, *linked, *site.links))
    return Site(
        host=name.name,
        title=site.title,
        status=site.status,
        redirect=site.redirect,
        headers=tuple(headers),
        technologies=site.technologies,
        pages=tuple(pages),
        script=tuple(site.script),
        trackers=HALYARD.trackers[:3] if front else HALYARD.trackers[3:] if name.label in ("track", "portal") else (),
        favicon=favicon(site.icon),
        robots=("Disallow: /internal/", *site.robots) if site.robots or front else (),
        sitemap=(f"https://{name.name}/", *site.sitemap) if site.sitemap or front else (),
        security_contact=HALYARD.emails[4] if name.label in ("www", "api", "portal") else None,
        certificate=site.certificate,
    )


def certificates(draft: Draft, strangers: tuple[Stranger, ...]) -> tuple[Certificate, ...]:
    """Every certificate that is presented, strangers' names in the edge's shared one included."""
    edge = {stranger.name for stranger in strangers if draft.addresses[stranger.address].city == "London"}
    if SHARED_CERTIFICATE in draft.sans:
        draft.sans[SHARED_CERTIFICATE].extend(sorted(edge))
    ids = {**draft.sans, **{name.name: [name.name] for name in strangers if name.name not in edge}}
    return tuple(
        Certificate(
            id=identity,
            subject=names[0],
            names=tuple(dict.fromkeys(names)),
            serial=int(sha256(f"{draft.domain} {identity}".encode()).hexdigest()[:30], 16),
            not_before=datetime(2025, 11, 20, tzinfo=UTC),
            not_after=datetime(2049, 11, 20, tzinfo=UTC),
            issuer=AUTHORITY,
        )
        for identity, names in ids.items()
    )


def logged_certificates(
    names: dict[str, frozenset[str]], wildcards: tuple[Wildcard, ...], sources: tuple[str, ...], seed: int
) -> tuple[LoggedCertificate, ...]:
    """Entries of the public logs: together they hold, for each of `sources`, exactly the names it knows.

    names: every publicly known name with the ids of those who know it.
    """
    rng = random.Random(f"{seed} logs")
    entries: list[LoggedCertificate] = []
    groups: dict[frozenset[str], list[str]] = {}
    for name, known_to in sorted(names.items()):
        if logs := known_to & frozenset(sources):
            groups.setdefault(logs, []).append(name)
    for wildcard in wildcards:
        groups.setdefault(frozenset(sources), []).append(wildcard.owner)
    for logs, members in sorted(groups.items(), key=lambda group: sorted(group[0])):
        while members:
            batch = [members.pop(0) for _ in range(min(len(members), rng.choice((1, 1, 1, 2, 3, 5))))]
            for _ in range(rng.choice((1, 1, 2))):
                entries.append(_logged(len(entries), batch, logs, seed, rng))
    return tuple(entries)


def _logged(number: int, names: list[str], logs: frozenset[str], seed: int, rng: random.Random) -> LoggedCertificate:
    digest = sha256(f"{seed} {number} {names}".encode()).hexdigest()
    issuer_id, issuer = rng.choice(LOG_ISSUERS)
    issued = datetime.fromtimestamp(NOW.timestamp() - rng.randint(5, 1400) * 86400 - rng.randint(0, 86399), UTC)
    return LoggedCertificate(
        id=9_100_000_000 + number * 7919 + seed,
        serial=digest[:36],
        sha256=sha256(digest.encode()).hexdigest(),
        common_name=names[0],
        names=tuple(names),
        issuer=issuer,
        issuer_id=issuer_id,
        not_before=issued,
        not_after=datetime.fromtimestamp(issued.timestamp() + 90 * 86400 - 1, UTC),
        logged=datetime.fromtimestamp(issued.timestamp() + 3600 + rng.randint(0, 999) / 1000, UTC),
        sources=logs,
    )
