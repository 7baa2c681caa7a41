"""What is planted in the weak world is there, and no other world has it."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from lab.generate import generate
from lab.generate.organisation import DOMAIN, OTHER_DOMAINS
from lab.generate.weaknesses import HOSTS, weaken
from lab.running import running_lab
from lab.truth import all_findings, issuers
from lab.web.certificates import Authority
from lab.world import World
from tests.lab.clients import ask

DAY = datetime(2026, 11, 30, tzinfo=UTC)
CLOUD, TRACK = OTHER_DOMAINS


@pytest.fixture(scope="module")
def weak() -> World:
    return weaken(generate(60, 1), DAY)


def certificate(weak: World, label: str, folder: Path) -> x509.Certificate:
    authority = Authority(weak.seed, folder, issuers(weak))
    found = next(each for each in weak.certificates if each.id == f"{label}.{DOMAIN}")
    return x509.load_der_x509_certificate(authority.signed(found))


def test_a_world_is_weak_only_when_it_is_asked_for() -> None:
    world = generate(60, 1)
    assert not world.planted
    assert not {host.name for host in world.hosts} & {weak.name for weak in HOSTS}


def test_another_world_is_not_made_weak() -> None:
    for hosts, seed in ((60, 2), (80, 1)):
        with pytest.raises(ValueError, match="60 hosts"):
            weaken(generate(hosts, seed), DAY)


def test_what_was_there_before_is_there_as_it_was(weak: World) -> None:
    before = generate(60, 1)
    assert [host.addresses for host in weak.hosts[: len(before.hosts)]] == [host.addresses for host in before.hosts]
    assert weak.addresses[: len(before.addresses)] == before.addresses
    assert weak.certificates[: len(before.certificates)] == before.certificates
    assert weak.zones[0].records[: len(before.zones[0].records)] == before.zones[0].records


def test_the_same_day_makes_the_same_world(weak: World) -> None:
    assert weaken(generate(60, 1), DAY) == weak


def test_no_name_and_no_address_is_there_twice(weak: World) -> None:
    names = [host.name for host in weak.hosts]
    addresses = [address.ip for address in weak.addresses]
    assert len(names) == len(set(names))
    assert len(addresses) == len(set(addresses))


def test_findings_are_about_what_the_world_has(weak: World, tmp_path: Path) -> None:
    found = list(all_findings(weak, Authority(weak.seed, tmp_path, issuers(weak))))
    assert len(found) == len({(each["rule"], each["type"], tuple(each["key"])) for each in found})
    assert len({each["rule"] for each in found}) >= 45
    assert all(each["why"] for each in found)
    open_ports = {(address.ip, "tcp", str(port.number)) for address in weak.addresses for port in address.ports}
    assert {tuple(each["key"]) for each in found if each["type"] == "service"} <= open_ports


def test_certificates_are_wrong_as_they_are_meant_to_be(weak: World, tmp_path: Path) -> None:
    assert certificate(weak, "fairs", tmp_path).not_valid_after_utc < DAY
    assert 0 < (certificate(weak, "brochures", tmp_path).not_valid_after_utc - DAY).days < 14
    key = certificate(weak, "scanner", tmp_path).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 1024
    own = certificate(weak, "printer", tmp_path)
    assert own.issuer == own.subject
    own.verify_directly_issued_by(own)
    other = certificate(weak, "pilots", tmp_path).issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert other == "Bargain Certificates Ltd"


def test_all_authorities_of_the_world_are_trusted(weak: World, tmp_path: Path) -> None:
    authority = Authority(weak.seed, tmp_path, issuers(weak))
    context = ssl.create_default_context(cafile=str(authority.file))
    names = {dict(part[0] for part in each["subject"])["commonName"] for each in context.get_ca_certs()}
    assert names == {"Mirage Lab CA", "Bargain Certificates Ltd"}


async def test_records_are_as_loose_as_they_are_meant_to_be(weak: World) -> None:
    async with running_lab(weak) as lab:
        assert lab.targets == [DOMAIN, CLOUD, TRACK, "203.0.113.200/29"]
        assert "+all" in str(await ask(lab, CLOUD, "TXT"))
        assert not (await ask(lab, f"_dmarc.{CLOUD}", "TXT")).answer
        assert not (await ask(lab, f"ns-old.{DOMAIN}", "A")).answer
        assert "?all" in str(await ask(lab, TRACK, "TXT"))
