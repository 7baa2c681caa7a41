"""What makes a hypothesis, and what makes none."""

import pytest

from services.contracts import entities, relations
from services.contracts.claims import Entity, Relation
from services.correlation.domain.identity.hypotheses import LEAST_SCORE, Hypothesis, resolve
from services.correlation.domain.identity.traits import KINDS
from tests.services.correlation.identity.worlds import facts, related

ACME, ACME_DE = entities.organization("name", "Acme Widgets"), entities.organization("name", "ACME Widgets GmbH", "DE")
JO, MO = entities.person("openpgp", "1"), entities.person("rdap", "2")


def proposed(*said: Entity | Relation) -> list[Hypothesis]:
    """What comes of entities and relations that are said."""
    things = [facts(each) for each in said if isinstance(each, Entity)]
    return [*resolve(things, [related(each) for each in said if isinstance(each, Relation)]).values()]


def sites(number: int) -> list[Entity]:
    return [entities.domain(f"site-{count}.example") for count in range(number)]


def kinds(found: list[Hypothesis]) -> list[list[str]]:
    return [[each.kind for each in hypothesis.evidence] for hypothesis in found]


def test_organisations_of_one_name_but_for_its_legal_form_may_be_one() -> None:
    assert kinds(proposed(ACME, ACME_DE)) == [["name"]]


def test_one_name_in_another_script_or_order_is_the_same() -> None:
    latin, cyrillic = (
        entities.organization("name", "Romashka Trading"),
        entities.organization("name", "ООО Ромашка Trading"),
    )
    assert kinds(proposed(latin, cyrillic)) == [["name"]]
    turned = entities.organization("name", "Widgets, Acme")
    assert kinds(proposed(ACME, turned)) == [["name"]]


def test_a_misspelt_name_is_found_and_says_less() -> None:
    right, wrong = (
        entities.organization("name", "Halyard Freight Services"),
        entities.organization("name", "Halyerd Freight Service"),
    )
    (found,) = proposed(right, wrong)
    (same,) = proposed(right, entities.organization("name", "Halyard Freight Services AG"))
    assert LEAST_SCORE < found.score < same.score


def test_names_that_share_a_word_alone_make_none() -> None:
    assert proposed(ACME, entities.organization("name", "Acme Bank of Holland")) == []


def test_another_country_speaks_against_it_and_two_entries_of_one_register_almost_rule_it_out() -> None:
    (same,) = proposed(ACME_DE, entities.organization("name", "Acme Widgets AG", "DE"))
    assert same.score > LEAST_SCORE
    french = entities.organization("name", "Acme Widgets SA", "FR")
    key = entities.crypto_key("pgp", "a" * 40)
    (other,) = proposed(ACME_DE, french, relations.controls(ACME_DE, key), relations.controls(french, key))
    assert [each.kind for each in other.evidence if each.against] == ["country"]
    one, two = entities.organization("peeringdb", "1"), entities.organization("peeringdb", "2")
    assert proposed(one, two, relations.controls(one, key), relations.controls(two, key)) == []


def test_what_a_source_says_outright_is_not_outweighed() -> None:
    one, two = entities.organization("peeringdb", "1"), entities.organization("peeringdb", "2")
    (found,) = proposed(one, two, relations.same_as(one, two, reason="merged"))
    assert (found.score, [each.against for each in found.evidence]) == (pytest.approx(0.9), [False])


def test_people_who_hold_one_key_may_be_one() -> None:
    key = entities.crypto_key("pgp", "b" * 40)
    (found,) = proposed(JO, MO, relations.controls(JO, key), relations.controls(MO, key))
    assert (found.score, kinds([found])) == (pytest.approx(KINDS["crypto_key"].weight), [["crypto_key"]])


def test_accounts_of_one_handle_on_different_platforms_may_be_of_one_and_on_the_same_are_not() -> None:
    accounts = [entities.account("github", "jodoe1999"), entities.account("gravatar", "jodoe1999")]
    assert kinds(proposed(*accounts)) == [["handle"]]
    assert proposed(entities.account("github", "admin"), entities.account("gravatar", "admin")) == []
    mail = entities.email_address("jo@example.org")
    two = [entities.account("github", "one-of-two"), entities.account("github", "two-of-two")]
    (found,) = proposed(*two, *(relations.controls(mail, each) for each in two))
    assert [each.kind for each in found.evidence] == ["holder", "platform"]


def test_domains_that_one_mailbox_has_registered_may_be_of_one_holder() -> None:
    """By their registrations, which are what has the contact; a technical contact serves many."""
    mail, (one, two, *_) = entities.email_address("jo@example.org"), sites(3)
    registrations = [entities.registration("verisign", name) for name in ("R1", "R2")]
    joined = [relations.registered_as(one, registrations[0]), relations.registered_as(two, registrations[1])]
    by = [relations.has_contact(each, mail, role="registrant") for each in registrations]
    assert kinds(proposed(*joined, *by)) == [["registrant"]]
    serving = [relations.has_contact(each, mail, role="technical") for each in registrations]
    assert proposed(*joined, *serving) == []


def test_a_tracker_says_less_the_more_sites_carry_it_and_nothing_on_hundreds() -> None:
    tracker = entities.web_tracker("google_analytics", "UA-1111111-1")

    def score(number: int) -> float:
        found = proposed(
            *(relations.uses(entities.url(f"https://www.{site.value}/"), tracker) for site in sites(number))
        )
        return max((each.score for each in found), default=0.0)

    assert score(2) > score(3) > score(4) >= LEAST_SCORE
    assert score(500) == 0


def test_one_certificate_may_be_of_one_holder_unless_it_is_of_a_network_of_many() -> None:
    certificate = entities.certificate("c" * 64)
    assert kinds(proposed(*(relations.covers_name(certificate, each) for each in sites(2)))) == [["certificate"]]
    assert proposed(*(relations.covers_name(certificate, each) for each in sites(90))) == []


def test_one_icon_alone_is_too_little() -> None:
    icon = entities.fingerprint("favicon_mmh3", "116323821")
    assert proposed(*(relations.uses(entities.url(f"https://{site.value}/"), icon) for site in sites(2))) == []


def test_names_below_one_domain_are_no_pair() -> None:
    certificate = entities.certificate("d" * 64)
    names = [entities.hostname(f"{label}.site.example") for label in ("a", "b", "c")]
    assert proposed(*(relations.covers_name(certificate, name) for name in names)) == []


def test_a_million_of_one_word_are_not_compared_with_one_another() -> None:
    """The word is a hub; each is compared with who has the rest of its name."""
    many = [entities.organization("name", f"Holding {number:05} Unit") for number in range(2_000)]
    twin = entities.organization("name", "Holding 00007 Unit GmbH")
    pairs = {hypothesis.pair for hypothesis in proposed(*many, twin)}
    assert (min(many[7].id, twin.id), max(many[7].id, twin.id)) in pairs
    assert len(pairs) < 200


@pytest.mark.parametrize("hostile", ["\u202eemca", "A" * 256, "🏴" * 50, "Ⅷ ㎏", "--- ...", "İ" * 40, "ﷺ" * 14])
def test_a_hostile_name_is_a_name(hostile: str) -> None:
    proposed(entities.organization("name", hostile), entities.organization("name", hostile, "DE"), ACME)
