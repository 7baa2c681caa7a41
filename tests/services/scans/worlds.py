"""Small worlds whose modules say the same whenever they are asked, and what a scan of one came to in the end."""

import hashlib
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.contracts import entities, relations
from services.contracts.claims import Absence, Attribute
from services.contracts.commands import WorkItem
from services.contracts.facts import Collected
from services.contracts.resources import Module
from tests.services.scans.desk import Claimed, Desk, module

MODULES: Sequence[Module] = (
    module("names", "passive", "domain"),
    module("hosts", "passive", "hostname", "ip_address", "netblock", "asn", "registration"),
    module("people", "passive", "email_address", "organization"),
    module("dns", "dns", "domain", "hostname"),
    module("web", "active", "domain", "hostname", "url"),
    module("tls", "active", "exposes", "serves"),
    module("ports", "active", "ip_address", "netblock"),
    module("brute", "guess", "domain", "hostname", "level"),
    module("permutations", "guess", "names"),
)
SCOPE: dict[str, Any] = {
    "scope": ("203.0.113.0/24",),
    "exclude_scope": ("secret.example.org", "203.0.113.9"),
}


def world_of(seed: int) -> "World":
    return World(seed)


class World:
    """Asked about a subject, a module says some claims of a pool: which ones depends on nothing but the seed."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        labels = ["www", "mail", "dev", "a.dev", "b.a.dev", "secret", "x.secret", "api", "api.eu", "db.eu", "eu"]
        self.inside = [entities.name(f"{label}.example.org") for label in labels]
        self.outside = [entities.name(text) for text in ("cdn.example.net", "example.net", "ns.example.com", "b.test")]
        self.hosts = [*self.inside, *self.outside, entities.name("example.org")]
        self.ips = [entities.ip_address(f"198.51.100.{last}") for last in range(1, 5)]
        self.ips += [entities.ip_address(f"203.0.113.{last}") for last in (7, 9)]
        self.blocks = [entities.netblock(text) for text in ("198.51.100.0/24", "198.51.0.0/16", "203.0.113.0/28")]
        self.asns = [entities.asn("64500"), entities.asn("64501")]
        self.mails = [entities.email_address(text) for text in ("a@example.org", "b@example.net")]
        self.orgs = [entities.organization("name", text) for text in ("Example", "Hoster")]
        self.certs = [entities.certificate(hashlib.sha256(bytes([n])).hexdigest()) for n in range(3)]
        self.services = [entities.service(ip.key[0], "tcp", port) for ip in self.ips for port in ("443", "22")]
        self.urls = [entities.url(f"https://{host.key[0]}/") for host in self.hosts[:6]]
        self.registrations = [entities.registration("rdap.example", f"h{n}") for n in range(2)]
        self.seed = seed
        self.pool: list[Claimed] = [self._claim(rng) for _ in range(120)]

    def __call__(self, asked: str, item: WorkItem) -> Sequence[Claimed] | str:
        rng = random.Random(f"{self.seed} {asked}".encode() + msgspec.json.encode(item.subject))
        if rng.random() < 0.1:
            return "failed"
        return rng.sample(self.pool, rng.randrange(6))

    def _claim(self, rng: random.Random) -> Claimed:
        one = rng.choice
        made: list[Any] = [
            lambda: one([*self.hosts, *self.mails, *self.certs, *self.urls, *self.orgs, *self.ips]),
            lambda: relations.resolves_to(one(self.hosts), one(self.ips), record="A"),
            lambda: relations.alias_of(one(self.hosts), one(self.hosts), record="CNAME"),
            lambda: relations.uses_nameserver(one(self.hosts), one(self.outside)),
            lambda: relations.reverse_resolves_to(one(self.ips), one(self.hosts)),
            lambda: relations.part_of(one([*self.ips, *self.blocks]), one(self.blocks)),
            lambda: relations.announced_by(one(self.blocks), one(self.asns)),
            lambda: relations.exposes(one([*self.ips, *self.hosts]), one(self.services)),
            lambda: relations.serves(one(self.services), one([*self.hosts, *self.urls])),
            lambda: relations.presents(one(self.services), one(self.certs)),
            lambda: relations.covers_name(one(self.certs), one(self.hosts)),
            lambda: relations.links_to(one(self.urls), one([*self.urls, *self.hosts])),
            lambda: relations.registered_as(one([*self.blocks, *self.asns, *self.hosts]), one(self.registrations)),
            lambda: relations.has_contact(
                one(self.registrations), one([*self.mails, *self.orgs]), role=one(["registrant", "abuse"])
            ),
            lambda: relations.operated_by(one([*self.asns, *self.blocks]), one(self.orgs)),
            lambda: relations.mentions(one(self.urls), one([*self.mails, *self.hosts])),
            lambda: Attribute(one([*self.urls, *self.services, *self.orgs]), "title", "Welcome"),
            lambda: Absence(one(self.hosts), "exists"),
        ]
        claim: Claimed = one(made)()
        return claim


def in_parts(result: Collected, rng: random.Random) -> list[Collected]:
    """The same result in one message or more."""
    said = result.said
    if len(said) < 2 or rng.random() < 0.5:
        return [result]
    cut = rng.randrange(1, len(said))
    first = {"said": said[:cut], "outcome": None, "parts": 0, "requests": 0, "reason": ""}
    last = {"said": said[cut:], "part": 1, "parts": 2}
    return [msgspec.structs.replace(result, **first), msgspec.structs.replace(result, **last)]


async def end_of(desk: Desk, scan: UUID) -> dict[str, Any]:
    """All that must not depend on the order of things; ids of the scan itself are left out."""
    async with desk.real.read() as view:
        plan = (await view.fetch("SELECT number FROM scan WHERE id = :id", id=scan.bytes))[0][0]
        members = await view.fetch(
            "SELECT id, type, key, rank, distance FROM member WHERE scan = :s ORDER BY id", s=plan
        )
        items = await view.fetch(
            "SELECT module, subject, state, outcome, claims, requests FROM item"
            " WHERE scan = :s ORDER BY module, subject",
            s=plan,
        )
        subjects = await view.fetch("SELECT id, kind, judge FROM subject WHERE scan = :s ORDER BY id", s=plan)
        names = await view.fetch("SELECT zone, name FROM known_name WHERE scan = :s ORDER BY name", s=plan)
        left = [
            (table, (await view.fetch(f"SELECT COUNT(*) FROM {table} WHERE scan = :s", s=plan))[0][0])
            for table in ("part", "batch", "late")
        ]
    seen = await desk.scan(scan)
    return {
        "members": members,
        "items": items,
        "subjects": subjects,
        "names": names,
        "left": left,
        "state": seen.state,
        "counts": (seen.items, seen.entities, seen.results),
        "sources": [(s.module, s.outcomes, s.claims, s.requests, s.open) for s in seen.sources],
    }
