"""Who shows which name: every name that only one place reveals is put into that place."""

import random
from collections.abc import Iterator

from msgspec import structs

from lab.generate.draft import Draft, NameDraft
from lab.generate.placement import DNS, MAIL_PORTS, Placement
from lab.world import Page, Way

SRV_OWNERS = (
    "_sip._tls 100 1 443",
    "_sipfederationtls._tcp 100 1 5061",
    "_xmpp-server._tcp 5 0 5269",
    "_xmpp-client._tcp 5 0 5222",
    "_imaps._tcp 0 1 993",
    "_submission._tcp 0 1 587",
    "_caldavs._tcp 0 1 443",
    "_carddavs._tcp 0 1 443",
    "_ldap._tcp 0 100 389",
    "_kerberos._udp 0 100 88",
    "_autodiscover._tcp 0 0 443",
    "_stun._udp 0 0 3478",
)
TXT_OWNERS = (
    ("default._bimi", "v=BIMI1; l=https://{}/brand/logo.svg; a="),
    ("_smtp._tls", "v=TLSRPTv1; rua=https://{}/v1/tlsrpt"),
)
SPF_LIMIT = 4
RECORD_CYCLE = ("SRV", "CNAME", "SPF", "PTR", "TXT", "CNAME", "PTR", "CNAME")


class RecordNames:
    """The names that only a DNS record shows, and the records that show them.

    `mail_senders` go into the SPF records, `exchangers` into the MX records, `nameservers` into the NS records.
    """

    def __init__(self, draft: Draft, placement: Placement, seed: int) -> None:
        self.draft = draft
        self.placement = placement
        self.rng = random.Random(f"{seed} records")
        self.nameservers: list[NameDraft] = []
        self.exchangers: list[NameDraft] = []
        self.mail_senders: list[NameDraft] = []
        self._aliases: list[tuple[NameDraft, NameDraft]] = []
        self._reversed: list[NameDraft] = []
        known = [name for name in draft.names.values() if _findable(name)]
        self.rng.shuffle(known)
        self._known = iter(known)

    def assign(self) -> None:
        """Choose a record for every name of the kind, before names are placed."""
        services, texts, cycle = iter(SRV_OWNERS), iter(TXT_OWNERS), self._cycle()
        for name in [name for name in self.draft.names.values() if name.planned.kind == "record"]:
            if name.label.startswith("ns"):
                self._nameserver(name)
                continue
            if name.label.startswith("mx"):
                self._exchanger(name)
                continue
            kind = next(cycle)
            if kind == "SRV" and (service := next(services, None)):
                self._service(name, service)
            elif kind == "TXT" and (text := next(texts, None)):
                owner = self.draft.fqdn(text[0])
                self.draft.record(owner, "TXT", f'"{text[1].format(name.name)}"')
                name.ways.append(Way(kind="record", by=owner, detail="TXT"))
            elif kind == "SPF" and len(self.mail_senders) < SPF_LIMIT:
                self.mail_senders.append(name)
                name.ways.append(Way(kind="record", by=self.draft.domain, detail="SPF"))
            elif kind == "PTR":
                self._reversed.append(name)
                name.addresses.append("")
            else:
                alias = next(self._known)
                alias.cname = name.name
                self._aliases.append((alias, name))
                name.ways.append(Way(kind="record", by=alias.name, detail="CNAME"))

    def settle(self) -> None:
        """Finish those that follow another name's address, after names are placed."""
        for alias, name in self._aliases:
            self.placement.attach(alias, *name.addresses)
        own = [
            base
            for base in self._known
            if base.addresses and not base.cname and self.draft.addresses[base.addresses[0]].owner == "target"
        ]
        for name in self._reversed:
            name.addresses.clear()
            base = next(base for base in own if self.draft.addresses[base.addresses[0]].ptr is None)
            self.draft.addresses[base.addresses[0]].ptr = name.name
            self.placement.attach(name, base.addresses[0])
            name.ways.append(Way(kind="record", by=base.name, detail="PTR"))

    def _cycle(self) -> Iterator[str]:
        while True:
            yield from RECORD_CYCLE

    def _nameserver(self, name: NameDraft) -> None:
        self.placement.attach(name, self.placement.new(self.placement.networks.own, DNS))
        self.nameservers.append(name)
        name.ways.append(Way(kind="record", by=self.draft.domain, detail="NS"))

    def _exchanger(self, name: NameDraft) -> None:
        self.placement.attach(name, self.placement.new(self.placement.networks.own, *MAIL_PORTS))
        self.exchangers.append(name)
        name.ways.append(Way(kind="record", by=self.draft.domain, detail="MX"))

    def _service(self, name: NameDraft, service: str) -> None:
        owner, priority, weight, port = service.split()
        self.draft.record(self.draft.fqdn(owner), "SRV", f"{priority} {weight} {port} {name.name}.")
        name.ways.append(Way(kind="record", by=self.draft.fqdn(owner), detail="SRV"))


def _findable(name: NameDraft) -> bool:
    """Whether `name` is found without help and is free to become another's alias or neighbour."""
    planned = name.planned
    return (
        planned.kind in ("passive", "brute")
        and not planned.wildcard
        and not planned.level
        and not planned.delegated
        and name.label not in ("www", "mail", "mta-sts", "autodiscover", "api", "portal", "track", "vpn", "cdn")
    )


def reveal_on_sites(draft: Draft, seed: int) -> None:
    """Put the names of the kinds page, header and certificate into sites that are found without them."""
    rng = random.Random(f"{seed} sites")
    showers = [
        name
        for name in draft.names.values()
        if name.site
        and name.site.certificate
        and name.planned.kind in ("passive", "brute")
        and not name.planned.wildcard
        and name.label != "mta-sts"
    ]
    rng.shuffle(showers)
    plain = [shower for shower in showers if shower.label not in ("www", "api", "portal", "track")]
    certified = [shower for shower in showers if shower.site and shower.site.certificate == shower.name]
    for name in draft.names.values():
        if name.planned.kind == "certificate":
            shower = rng.choice(certified)
            draft.sans[shower.name].append(name.name)
            name.ways.append(Way(kind="certificate", by=shower.name, detail="subjectAltName"))
        elif name.planned.kind == "page":
            shower = rng.choice(showers)
            name.ways.append(Way(kind="page", by=shower.name, detail=_on_page(shower, name.name, rng)))
        elif name.planned.kind == "header":
            shower, header = _in_header(showers, plain, name.name, rng)
            name.ways.append(Way(kind="header", by=shower.name, detail=header))


def _on_page(shower: NameDraft, name: str, rng: random.Random) -> str:
    """Name `name` on the site of `shower`; the path where it stands."""
    site = shower.site
    assert site is not None
    path = rng.choices(("/", "/assets/app.js", "/about", "/sitemap.xml", "/robots.txt"), (46, 24, 12, 10, 8))[0]
    if path == "/":
        site.links.append(f"https://{name}/")
    elif path == "/assets/app.js":
        site.script.append(f"https://{name}/v1/")
    elif path == "/sitemap.xml":
        site.sitemap.append(f"https://{name}/")
    elif path == "/robots.txt":
        site.robots.append(f"Sitemap: https://{name}/sitemap.xml")
    else:
        about = next((page for page in site.pages if page.path == path), Page(path=path, title="About this service"))
        site.pages = [page for page in site.pages if page is not about]
        site.pages.append(structs.replace(about, links=(*about.links, f"https://{name}/")))
    return path


def _in_header(
    showers: list[NameDraft], plain: list[NameDraft], name: str, rng: random.Random
) -> tuple[NameDraft, str]:
    """Name `name` in a header of some site: (the site's host, the header)."""
    header = rng.choices(
        ("Content-Security-Policy", "Location", "Link", "Access-Control-Allow-Origin"), (52, 18, 15, 15)
    )[0]
    if header == "Location":
        for index, shower in enumerate(plain):
            site = shower.site
            if site and len(site.pages) == 1 and not (site.links or site.script or site.sitemap or site.robots):
                site.redirect = f"https://{name}/"
                site.pages = [page for page in site.pages if page.path == "/"]
                plain.pop(index)
                showers.remove(shower)
                return shower, header
        header = "Content-Security-Policy"
    shower = rng.choice(showers)
    site = shower.site
    assert site is not None
    if header == "Content-Security-Policy":
        site.connects.append(f"https://{name}")
    elif header == "Link":
        site.headers.append(("Link", f"<https://{name}/>; rel=preconnect"))
    else:
        site.headers.append(("Access-Control-Allow-Origin", f"https://{name}"))
    return shower, header
