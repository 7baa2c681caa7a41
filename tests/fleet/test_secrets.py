"""The secrets of a fleet are made once, are for its user alone, and are never shown."""

import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from services.catalogue import SERVICES, load_services
from services.cli.fleet.ports import Ports
from services.cli.fleet.secrets import FILE, Secrets, keep_secrets, read_secrets
from services.cli.fleet.users import secrets_of_infra, settings_of
from services.cli.rendering.jobs import secrets_of
from services.kernel.errors import Conflict, Invalid
from services.kernel.seal import Seal
from services.kernel.settings import Settings


def test_they_are_made_once_and_those_of_a_new_service_later(tmp_path: Path) -> None:
    first = keep_secrets(tmp_path / "fleet", ["scans"])
    assert keep_secrets(tmp_path / "fleet", ["scans"]) == first
    later = keep_secrets(tmp_path / "fleet", ["scans", "storage"])
    assert (later.admin, later.master_key) == (first.admin, first.master_key)
    assert later.services["scans"] == first.services["scans"]
    assert keep_secrets(tmp_path / "fleet", ["scans"]) == later


def test_no_two_are_the_same_and_each_is_one_that_is_taken(tmp_path: Path) -> None:
    here, there = (keep_secrets(tmp_path / name, SERVICES) for name in ("here", "there"))
    all_of_them = [each for kept in (here, there) for each in (kept.admin, *kept.services.values())]
    assert len(set(all_of_them)) == 2 * (1 + len(SERVICES))
    assert Seal(here.master_key).open("key", Seal(here.master_key).seal("key", "word")) == "word"


def test_only_its_user_reads_them_and_nothing_else_is_left(tmp_path: Path) -> None:
    for services in (["scans"], ["scans", "storage"]):
        keep_secrets(tmp_path, services)
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_of_all_who_make_them_at_once_one_does_and_the_others_do_not_undo_it(tmp_path: Path) -> None:
    together = Barrier(8)

    def make(_: int) -> Secrets | None:
        together.wait()
        with suppress(Conflict):
            return keep_secrets(tmp_path, ["scans"])
        return None

    with ThreadPoolExecutor(8) as pool:
        made = [each for each in pool.map(make, range(8)) if each is not None]
    kept = read_secrets(tmp_path)
    assert made
    assert all((each.admin, each.master_key) == (kept.admin, kept.master_key) for each in made)


def test_where_there_are_none_they_are_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="there is no fleet in"):
        read_secrets(tmp_path)
    assert not list(tmp_path.iterdir())


def test_they_are_not_shown(tmp_path: Path) -> None:
    kept = keep_secrets(tmp_path, ["scans"])
    assert f"{kept!r} {kept}" == "Secrets(***) Secrets(***)"


@pytest.mark.parametrize("content", ["", "{", '{"admin": 5}', "[]"])
def test_a_file_that_is_none_of_secrets_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(Invalid, match=r"secrets\.json cannot be read"):
        keep_secrets(tmp_path, ["scans"])
    assert (tmp_path / FILE).read_text() == content


@pytest.mark.parametrize("service", load_services(), ids=lambda service: service.name)
def test_a_service_is_told_its_own_secrets_and_no_others(tmp_path: Path, service: object) -> None:
    kept = keep_secrets(tmp_path, SERVICES)
    told = settings_of(service, kept, Ports(), public="127.0.0.1:8080")
    assert tuple(told) == secrets_of(service)
    others = [kept.admin, *(password for name, password in kept.services.items() if name != service.name)]
    assert not [other for other in others if other in str(told)]
    assert ("public" in told, "signing_keys" in told) == (bool(service.public), bool(service.public or service.asks))
    assert ("master_key" in told) == ("seal" in service.needs)
    shown = repr(Settings(**told))
    assert not [word for word in (kept.services[service.name], kept.master_key) if word in shown]


def test_the_servers_are_told_digests_or_what_they_need(tmp_path: Path) -> None:
    kept = keep_secrets(tmp_path, SERVICES)
    told = secrets_of_infra(load_services(), kept, Ports())
    assert told["neo4j"]["password"] == kept.services["correlation"], "its one user is who feeds it"
    assert all(each["password"] == kept.admin for name, each in told.items() if name != "neo4j")
    assert kept.services["collector"] not in told["redis"]["acl"]
    assert {name for name, password in kept.services.items() if password in told["nats"]["authorization"]} == {
        service.name for service in load_services() if "bus" in service.needs
    }
    assert kept.master_key not in str(told)
