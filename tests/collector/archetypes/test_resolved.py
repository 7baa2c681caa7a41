from services.collector.archetypes.resolved import found_names, names_found
from services.collector.context import DnsAnswer
from services.collector.resolve.answer import Answer, Record
from services.contracts.claims import Attribute, Entity

ZONE = "apps.example.org"


def resolved(name: str) -> Answer:
    return Answer(name, "A", "found", 0, (Record(name, "A", 60, "192.0.2.7"),))


def test_below_a_wildcard_only_levels_that_exist_are_said_to_answer() -> None:
    names = (f"www.{ZONE}", f"www.acc.{ZONE}", f"api.known.{ZONE}")
    answer = DnsAnswer(at=1, resolutions=tuple(map(resolved, names)), members=frozenset(names))

    claims = list(found_names(answer, (ZONE, f"known.{ZONE}")))

    assert not [claim for claim in claims if isinstance(claim, Entity)]
    about = {claim.about.key[0] for claim in claims if isinstance(claim, Attribute) and isinstance(claim.about, Entity)}
    assert about == {ZONE, f"known.{ZONE}"}


def test_of_names_that_nobody_can_judge_nothing_is_said() -> None:
    judged, doubtful = resolved(f"www.{ZONE}"), resolved("api.example.org")
    answer = DnsAnswer(at=1, resolutions=(judged, doubtful), unjudged=frozenset((doubtful.name,)))

    assert {claim.key[0] for claim in found_names(answer) if isinstance(claim, Entity)} == {judged.name}
    assert names_found(answer) == [judged.name]


def test_names_that_no_wildcard_explains_are_found() -> None:
    answer = DnsAnswer(at=1, resolutions=(resolved(f"www.{ZONE}"),))

    found = [claim.key[0] for claim in found_names(answer, ()) if isinstance(claim, Entity)]

    assert found == [f"www.{ZONE}"]
