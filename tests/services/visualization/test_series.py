"""Counts are those of who counts one by one."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts import entities, relations
from services.contracts.claims import Entity
from services.contracts.resources.scans import SourceState
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts, SaidValue
from services.contracts.resources.visualization import Series
from services.visualization.domain.series import OTHER, ProvidersCounted, TypesCounted, country_of, outcomes, series
from services.visualization.domain.timeline import CertificatesTimed, Times, step_for
from services.visualization.domain.world import Places, geohash_point
from services.visualization.usecases.series import world

AT = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000
IP = entities.ip_address


def fact(entity: Entity, role: str | None = "in_scope", **said: object) -> EntityFacts:
    return EntityFacts(
        entity=entity,
        role=role,
        distance=0,
        first_seen=AT,
        last_seen=AT,
        attributes=tuple(SaidValue(name, value, ()) for name, value in said.items()),
    )


def related(relation: relations.Relation) -> RelationFacts:
    return RelationFacts(
        type=relation.type, source=relation.source, target=relation.target, qualifiers=relation.qualifiers
    )


def table(counted: Series) -> dict[tuple[str, str], int]:
    return {(counted.rows[each.row], counted.columns[each.column]): each.count for each in counted.cells}


words = st.text("abcdef", min_size=1, max_size=2)


@given(st.lists(st.tuples(words, words), max_size=200))
def test_a_series_has_every_count_once(things: list[tuple[str, str]]) -> None:
    counts = Counter(things)
    counted = series("types", counts, ("a", "b"))
    assert table(counted) == counts
    assert counted.total == len(things)
    totals = [sum(count for (row, _), count in counts.items() if row == name) for name in counted.rows]
    assert totals == sorted(totals, reverse=True)


def test_rows_and_columns_that_are_too_many_are_other() -> None:
    counts = {(f"row{number}", f"column{number}"): 1_000 - number for number in range(200)}
    counted = series("providers", counts)
    assert (len(counted.rows), len(counted.columns)) == (60, 30)
    assert counted.rows[-1] == counted.columns[-1] == OTHER
    assert sum(each.count for each in counted.cells) == counted.total == sum(counts.values())


def test_entities_are_counted_by_type_and_role() -> None:
    counting = TypesCounted()
    counting.add(Facts(entities=(fact(entities.hostname("a.example.org")), fact(IP("192.0.2.1"), "affiliate"))))
    counting.add(Facts(entities=(fact(IP("192.0.2.2"), None),)))
    assert table(counting.made()) == {
        ("hostname", "in_scope"): 1,
        ("ip_address", "affiliate"): 1,
        ("ip_address", "unknown"): 1,
    }


def test_items_are_counted_by_module_and_outcome() -> None:
    def source(module: str, **ended: int) -> SourceState:
        return SourceState(
            module=module, version=1, activity="dns", state="answered", open=0, outcomes=ended, claims=0, requests=0
        )

    counted = outcomes([source("crtsh", found=3), source("web", found=1, failed=4), source("web", found=2)])
    assert table(counted) == {("crtsh", "found"): 3, ("web", "found"): 3, ("web", "failed"): 4}
    assert counted.columns == ("found", "failed")


def test_an_address_is_where_the_nearest_network_is_that_says_so() -> None:
    inner, outer, system = entities.netblock("192.0.2.0/24"), entities.netblock("192.0.0.0/16"), entities.asn("64500")
    acme, other = entities.organization("name", "Acme"), entities.organization("name", "Other")
    counting = ProvidersCounted()
    counting.add(
        Facts(
            entities=(
                fact(IP("192.0.2.1"), "affiliate"),
                fact(IP("192.0.3.1"), "affiliate"),
                fact(IP("198.51.100.1"), "external"),
                fact(inner, "external", country="DE"),
                fact(system, "external", country="US"),
                fact(acme, "external", display_name="Acme, Inc."),
            ),
            relations=tuple(
                related(each)
                for each in (
                    relations.part_of(IP("192.0.2.1"), inner),
                    relations.part_of(inner, outer),
                    relations.part_of(IP("192.0.3.1"), outer),
                    relations.announced_by(outer, system),
                    relations.operated_by(outer, acme),
                    relations.operated_by(system, other),
                )
            ),
        )
    )
    assert table(counting.made()) == {("DE", "Acme, Inc."): 1, ("US", "Acme, Inc."): 1}


def test_networks_within_each_other_are_walked_once() -> None:
    one, other = entities.netblock("192.0.2.0/24"), entities.netblock("192.0.2.0/25")
    counting = ProvidersCounted(all=True)
    circle = (relations.part_of(one, other), relations.part_of(other, one), relations.part_of(IP("192.0.2.1"), one))
    counting.add(Facts(entities=(fact(IP("192.0.2.1")),), relations=tuple(related(each) for each in circle)))
    assert table(counting.made()) == {("unknown", "unknown"): 1}


@pytest.mark.parametrize(
    ("place", "country"),
    [
        (entities.location("country", "de"), "DE"),
        (entities.location("region", "DE-BY"), "DE"),
        (entities.location("city", "Munich", "DE"), "DE"),
        (entities.location("geohash", "u281z7j"), ""),
    ],
)
def test_a_location_says_its_country(place: Entity, country: str) -> None:
    assert country_of(place) == country


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4_000)), min_size=1, max_size=60))
def test_a_timeline_has_everything_in_its_step(things: list[tuple[str, int]]) -> None:
    times = Times()
    for group, day in things:
        times.add(group, AT + day * DAY)
    made = times.timeline("entities")
    ends = (*made.begins[1:], made.begins[-1] + 400 * DAY)
    for group, counts in zip(made.groups, made.counts, strict=True):
        days = [AT + day * DAY for name, day in things if name == group]
        naive = [sum(begin <= at < end for at in days) for begin, end in zip(made.begins, ends, strict=True)]
        assert list(counts) == naive
    assert sum(map(sum, made.counts)) == made.total == len(things)


@pytest.mark.parametrize(
    ("days", "step", "begins"),
    [
        (1, "hour", "2026-03-01T00:00"),
        (30, "day", "2026-03-01T00:00"),
        (200, "week", "2026-02-23T00:00"),
        (2_000, "month", "2026-03-01T00:00"),
        (20_000, "year", "2026-01-01T00:00"),
    ],
)
def test_steps_are_as_long_as_the_span_asks_for(days: int, step: str, begins: str) -> None:
    """Weeks begin on Monday, months and years on their first."""
    times = Times()
    times.add("a", AT + 1)
    times.add("a", AT + 1 + days * DAY)
    made = times.timeline("entities")
    assert made.step == step_for(AT, AT + days * DAY) == step
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=made.begins[0])
    assert first.strftime("%Y-%m-%dT%H:%M") == begins
    assert len(made.begins) < 1_000


def test_times_of_no_sense_are_counted_and_not_drawn() -> None:
    counting = CertificatesTimed()
    certificates = [entities.certificate(f"{number:064x}") for number in range(4)]
    ends = (AT, -(2**62), 2**62, AT + DAY)
    counting.add(Facts(entities=tuple(fact(each, not_after=end) for each, end in zip(certificates, ends, strict=True))))
    made = counting.made()
    assert (made.total, made.outside) == (2, 2)
    assert len(made.begins) <= 25


def test_groups_that_are_too_many_are_other() -> None:
    times = Times()
    for number in range(100):
        for _ in range(100 - number):
            times.add(f"group{number}", AT)
    made = times.timeline("entities")
    assert made.groups == (*(f"group{number}" for number in range(11)), OTHER)
    assert sum(map(sum, made.counts)) == 5_050


def test_things_are_counted_once_in_the_country_that_they_are_in() -> None:
    places = Places({country.code for country in world().countries})
    germany, nowhere = entities.location("country", "DE"), entities.location("country", "BV")
    a, b = IP("192.0.2.1"), IP("192.0.2.2")
    places.add(
        Facts(
            entities=(fact(a, country="DE", latitude=52.5, longitude=13.4), fact(b, latitude=95.0, longitude=13.4)),
            relations=(
                related(relations.located_at(a, germany)),
                related(relations.located_at(b, nowhere)),
                related(relations.located_at(b, entities.location("geohash", "u33db2m"))),
            ),
        )
    )
    view = places.made()
    assert view.countries == {"DE": 1}
    assert view.nowhere == 1
    assert [(point.longitude, point.latitude, point.count) for point in view.points] == [(13.4, 52.5, 2)]


def test_a_geohash_is_where_it_is() -> None:
    longitude, latitude = geohash_point("u4pruyd")
    assert abs(longitude - 10.407) < 0.01
    assert abs(latitude - 57.649) < 0.01


def test_the_map_has_every_country_within_the_world() -> None:
    countries = world().countries
    codes = [country.code for country in countries if country.code]
    assert len(set(codes)) == len(codes) > 240
    for country in countries:
        for ring in (country.at, *country.rings):
            assert len(ring) % 2 == 0
            assert all(-180 <= longitude <= 180 for longitude in ring[::2])
            assert all(-90 <= latitude <= 90 for latitude in ring[1::2])
        wide = [max(ring[::2]) - min(ring[::2]) for ring in country.rings]
        assert not wide or max(wide) < 180 or country.code == "AQ", "a shape is drawn right across the map"
    shaped = {country.code for country in countries if country.rings}
    assert {"DE", "US", "CN", "BR", "ZA", "AU", "IN", "FR", "NO", "XK"} <= shaped
