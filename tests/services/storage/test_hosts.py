"""Which names an export of hosts prints, by who said what of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from services.contracts import entities, relations
from services.contracts.claims import Absence, Attribute, Claim, Entity
from services.contracts.facts import Admission, Admitted, Collected, Said
from services.contracts.resources import ExportQuery
from services.kernel.once_store import MIGRATIONS
from services.kernel.sql import Sql, migrations
from services.storage.domain import Rows
from services.storage.service import service
from services.storage.store.intake import write_rows
from services.storage.usecases.export import export
from tests.stores import Stores

WORKSPACE, SCAN = UUID(int=1), UUID(int=2)
WWW = entities.name("www.example.org")
ADDRESS = entities.ip_address("192.0.2.1")
RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")


@pytest.fixture
async def sql(tmp_path: Path, stores: Stores) -> AsyncIterator[Sql]:
    opened = stores.open(tmp_path / "storage.db")
    assert service.migrations
    await opened.migrate([*MIGRATIONS, *migrations.load(service.migrations)])
    yield opened
    await opened.close()


def told(module: str, *claims: Claim, about: Entity = WWW) -> Collected:
    return Collected(
        scan=SCAN,
        run=1,
        batch=UUID(int=3),
        item=uuid5(SCAN, module),
        module=module,
        version=1,
        subject=about,
        part=0,
        at=1,
        said=tuple(Said(claim, ()) for claim in claims),
        outcome="found",
        parts=1,
    )


async def hosts(sql: Sql, *results: Collected, everything: bool = False) -> str:
    rows = Rows()
    for result in results:
        rows.add(WORKSPACE, result, 1)
    admitted = Admitted(scan=SCAN, ordinal=1, admissions=(Admission(WWW, "in_scope", 0),))
    rows.admit(WORKSPACE, admitted, 1)
    async with sql.begin() as tx:
        await write_rows(tx, rows, 1)
    query = ExportQuery(scan=SCAN, format="hosts", all=everything)
    async with sql.read() as view:
        return "".join([piece async for piece in export(view, WORKSPACE, query, resolving={"dns_records"})])


async def test_a_name_that_answered_is_a_host(sql: Sql) -> None:
    assert await hosts(sql, told("dns_records", WWW, RESOLVES)) == "www.example.org\n"


async def test_an_address_that_a_source_remembers_makes_no_host_of_a_stale_name(sql: Sql) -> None:
    remembered = told("hackertarget", WWW, RESOLVES)
    gone = told("dns_records", Attribute(WWW, "response_code", "NXDOMAIN"), Absence(WWW, "resolves_to"))
    assert await hosts(sql, remembered, gone) == ""
    assert await hosts(sql, remembered, gone, everything=True) == "www.example.org\tstale\n"


async def test_an_address_that_a_source_remembers_makes_no_host_of_a_name_that_nobody_could_say(sql: Sql) -> None:
    assert await hosts(sql, told("hackertarget", WWW, RESOLVES), everything=True) == "www.example.org\tunknown\n"
