"""The table of who gets which place from whom."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts import entities, relations
from services.contracts.claims import Entity, Relation
from services.contracts.relations import RELATION_TYPES
from services.contracts.scope import ROLES
from services.scans.domain.reach import (
    FAR,
    PROVIDER_ROLES,
    RANKS,
    UNPLACED,
    WAYS,
    Frontier,
    Place,
    Way,
    pass_on,
    role_of,
    way_found,
    ways_over,
)

WWW, CDN, BARE = entities.name("www.example.org"), entities.name("x.cdn.example.net"), entities.name("example.org")
IP, BLOCK, ASN = entities.ip_address("192.0.2.1"), entities.netblock("192.0.2.0/24"), entities.asn("64500")
SERVICE, CERTIFICATE = entities.service("192.0.2.1", "tcp", "443"), entities.certificate("00" * 32)
REGISTRATION, ORG = entities.registration("rdap.example", "h1"), entities.organization("name", "Example")
MAIL, URL = entities.email_address("a@example.net"), entities.url("https://www.example.org/")


def test_every_type_of_relation_has_its_line() -> None:
    assert set(WAYS) == set(RELATION_TYPES)


def test_every_type_of_entity_that_is_only_named_gets_a_way() -> None:
    assert {way_found(kind) for kind in entities.ENTITY_TYPES} == {Way.PART, Way.STEP, Way.OUTSIDE}
    for kind in ("domain", "hostname", "ip_address", "netblock", "asn", "url", "service"):
        assert way_found(kind) is Way.OUTSIDE, "what has a place of its own is not let in by being named"


def places(start: dict[Entity, str], *claims: Relation, depth: int = 2) -> dict[Entity, tuple[str, int]]:
    """Where everything ends up that ``claims`` lead to from the entities of ``start``, which the scope placed."""
    front = Frontier(depth)
    known: dict[bytes, Entity] = {}
    for entity in [*start, *(end for claim in claims for end in (claim.source, claim.target))]:
        if entity.id not in known:
            known[entity.id] = entity
            front.place(entity.id, (RANKS[start[entity]], 0) if entity in start else UNPLACED, known=False)
    for claim in claims:
        to_target, to_source = ways_over(claim)
        if to_target:
            front.link(claim.source.id, claim.target.id, to_target)
        if to_source:
            front.link(claim.target.id, claim.source.id, to_source)
    front.settle()
    return {known[m.id]: (role_of(m.role), m.distance) for m in front.members.values() if m.role > 0}


@pytest.mark.parametrize("inside", ["target", "in_scope"])
def test_what_a_name_depends_on_is_an_affiliate(inside: str) -> None:
    found = places(
        {WWW: inside},
        relations.resolves_to(WWW, IP, record="A"),
        relations.alias_of(WWW, CDN, record="CNAME"),
    )
    assert found == {WWW: (inside, 0), IP: ("affiliate", 1), CDN: ("affiliate", 1)}


def test_where_an_address_lies_is_as_near_as_the_address() -> None:
    found = places(
        {WWW: "in_scope"},
        relations.resolves_to(WWW, IP, record="A"),
        relations.part_of(IP, BLOCK),
        relations.announced_by(BLOCK, ASN),
        relations.registered_as(BLOCK, REGISTRATION),
        relations.has_contact(REGISTRATION, ORG, role="registrant"),
        relations.has_contact(REGISTRATION, MAIL, role="abuse"),
    )
    assert found[BLOCK] == found[ASN] == found[REGISTRATION] == ("affiliate", 1)
    assert found[ORG] == ("affiliate", 2)
    assert found[MAIL] == ("external", 2), "an abuse desk works for many"


def test_the_network_around_an_address_in_scope_is_not_in_scope() -> None:
    assert places({IP: "target"}, relations.part_of(IP, BLOCK))[BLOCK] == ("affiliate", 1)


def test_what_describes_a_thing_is_where_the_thing_is() -> None:
    found = places(
        {WWW: "in_scope", URL: "in_scope", BARE: "target"},
        relations.has_record(WWW, record := entities.dns_record("www.example.org", "A", "192.0.2.1")),
        relations.runs(URL, nginx := entities.technology("nginx")),
        relations.registered_as(BARE, REGISTRATION),
        relations.covers_name(CERTIFICATE, WWW),
    )
    for part in (record, nginx, REGISTRATION, CERTIFICATE):
        assert found[part] == ("in_scope", 0)


def test_names_that_share_a_host_or_a_certificate_are_co_hosted_and_lead_nowhere() -> None:
    other, further = entities.name("other.example.com"), entities.ip_address("198.51.100.1")
    found = places(
        {WWW: "in_scope"},
        relations.covers_name(CERTIFICATE, WWW),
        relations.covers_name(CERTIFICATE, other),
        relations.resolves_to(other, further, record="A"),
        relations.resolves_to(WWW, IP, record="A"),
        relations.reverse_resolves_to(IP, CDN),
    )
    assert found[other] == ("co_hosted", 1)
    assert found[CDN] == ("co_hosted", 2)
    assert further not in found


def test_links_lead_outside() -> None:
    elsewhere = entities.url("https://elsewhere.example.net/")
    found = places({URL: "in_scope"}, relations.links_to(URL, elsewhere), relations.mentions(URL, MAIL))
    assert found[elsewhere] == ("external", 1)
    assert found[MAIL] == ("affiliate", 1), "an address on a page may be asked about"


@pytest.mark.parametrize("related", [relations.has_contact, relations.operated_by])
@pytest.mark.parametrize("role", [*sorted(PROVIDER_ROLES), "registrant"])
def test_who_acts_for_many_is_outside(related: Callable[..., Relation], role: str) -> None:
    place = ("external", 1) if role in PROVIDER_ROLES else ("affiliate", 1)
    assert places({BLOCK: "in_scope"}, related(BLOCK, ORG, role=role))[ORG] == place


def test_what_an_owner_has_counts_only_inside() -> None:
    assert places({ORG: "target"}, relations.operated_by(ASN, ORG))[ASN] == ("affiliate", 1)
    found = places(
        {WWW: "in_scope"},
        relations.has_contact(WWW, ORG, role="registrant"),
        relations.operated_by(ASN, ORG),
    )
    assert ASN not in found, "the other networks of an affiliate are none of our business"


def test_the_depth_ends_it() -> None:
    chain = [entities.name(f"h{n}.example.net") for n in range(5)]
    steps = [relations.alias_of(WWW, chain[0], record="CNAME")]
    steps += [relations.alias_of(a, b, record="CNAME") for a, b in pairwise(chain)]
    for depth in range(4):
        found = places({WWW: "in_scope"}, *steps, depth=depth)
        reached = [found[name] for name in chain if found.get(name, ("", 0))[0] == "affiliate"]
        assert reached == [("affiliate", n + 1) for n in range(depth)]


def test_nothing_gives_more_than_it_has() -> None:
    for way in Way:
        for rank in (0, 1, 2, 3):
            assert pass_on(way, rank, 1, 9) == UNPLACED
        for rank, distance in ((4, 1), (5, 0), (6, 0)):
            role, away = pass_on(way, rank, distance, 9)
            assert role <= min(rank, RANKS["in_scope"])
            assert away >= distance or role == 0


def test_better_places_give_better_ones() -> None:
    inside = [(rank, 0) for rank in (5, 6)]
    ordered: list[Place] = [UNPLACED, *((4, distance) for distance in (3, 2, 1)), *inside]
    for way in Way:
        given = [pass_on(way, *place, 2) for place in ordered]
        for worse, better in pairwise(given):
            assert better[0] >= worse[0]
            assert better[1] <= worse[1]
    assert FAR > 2
    assert [role_of(RANKS[role]) for role in ROLES] == list(ROLES)


NODES = [bytes([n]) * 16 for n in range(7)]
EDGES = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES), st.sampled_from(list(Way))), max_size=25)


@given(EDGES, st.integers(0, 3), st.integers(0, 2**32))
def test_places_do_not_depend_on_the_order_of_ways(
    edges: list[tuple[bytes, bytes, Way]], depth: int, seed: int
) -> None:
    def settled(ways: list[tuple[bytes, bytes, Way]], pieces: int) -> dict[bytes, Place]:
        front = Frontier(depth)
        for number, node in enumerate(NODES):
            front.place(node, (RANKS["target"], 0) if number == 0 else UNPLACED, known=False)
        for start in range(0, len(ways), pieces):
            for origin, heir, way in ways[start : start + pieces]:
                if origin != heir:
                    front.link(origin, heir, way)
            front.settle()
        return {member.id: (member.role, member.distance) for member in front.members.values()}

    shuffled = random.Random(seed).sample(edges, len(edges))
    assert settled(edges, 100) == settled(shuffled, 1) == settled(shuffled, 3)
