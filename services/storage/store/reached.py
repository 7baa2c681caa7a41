"""At which addresses a scan asked: who is asked by name may be met at another of its addresses each time."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from services.kernel.hostport import split_host_port
from services.kernel.sql import Reader
from services.storage.domain import Question
from services.storage.store import reading
from services.storage.store.reading import read_key
from services.storage.store.records import read_record
from services.storage.store.when import COUNTS

#: What is said to a target itself; the peer of the others is a resolver or a source.
DIRECT: Final = frozenset({"http", "tls", "tcp"})
NAMES: Final = frozenset({"domain", "hostname"})


async def service_addresses(view: Reader, workspace: UUID, numbers: Collection[int]) -> dict[int, str]:
    """The addresses of those of ``numbers`` that are services, or relations of which an end is one."""
    related = await reading.relations(view, workspace, list(numbers))
    ends = {number: (relation.source, relation.target) for number, relation in related.items()}
    known = await reading.entities(view, workspace, [*numbers, *(end for pair in ends.values() for end in pair)])
    services = {number: stored.entity.key[0] for number, stored in known.items() if stored.entity.type == "service"}
    return {number: services[end] for number in numbers for end in ends.get(number, (number,)) if end in services}


async def led_to(view: Reader, workspace: UUID, scan: UUID, asked: Collection[Question]) -> dict[Question, set[str]]:
    """Where those of ``asked`` that are about names were asked in a scan: at which addresses they got an answer.

    Without an answer it is where the name led in that scan, and nowhere for certain if it led to several addresses; a
    question of which nobody says where it led is left out.
    """
    rows = await view.fetch_in(
        "SELECT id, type FROM entity WHERE workspace = :workspace AND id IN :keys",
        list({subject for _, subject in asked}),
        workspace=workspace.bytes,
    )
    names = {bytes(identity) for identity, kind in rows if kind in NAMES}
    asked = [question for question in asked if question[1] in names]
    found = await _answered_at(view, workspace, scan, asked)
    silent = [question for question in asked if question not in found]
    resolved = await _resolved(view, workspace, scan, {subject for _, subject in silent})
    for question in silent:
        if question[1] in resolved:
            found[question] = resolved[question[1]] if len(resolved[question[1]]) == 1 else set()
    return found


async def _answered_at(
    view: Reader, workspace: UUID, scan: UUID, asked: Collection[Question]
) -> dict[Question, set[str]]:
    rows = await view.fetch_in(
        "SELECT result.module, result.subject, record.id, record.content FROM result JOIN record"
        " ON record.workspace = result.workspace AND record.scan = result.scan AND record.result = result.number"
        " WHERE result.workspace = :workspace AND result.scan = :scan AND result.subject IN :keys",
        list({subject for _, subject in asked}),
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    wanted, found = set(asked), dict[Question, set[str]]()
    for module, subject, identity, content in rows:
        if (module, bytes(subject)) in wanted:
            record = read_record(bytes(identity), content)
            if record.peer and record.protocol in DIRECT:
                found.setdefault((module, bytes(subject)), set()).add(split_host_port(record.peer, 0)[0])
    return found


async def _resolved(view: Reader, workspace: UUID, scan: UUID, names: Collection[bytes]) -> dict[bytes, set[str]]:
    """The addresses that names have in a scan."""
    rows = await view.fetch_in(
        "SELECT name.id, address.key FROM entity AS name"  # noqa: S608  a constant
        " JOIN relation ON relation.workspace = name.workspace AND relation.source = name.number"
        " JOIN entity AS address ON address.workspace = name.workspace AND address.number = relation.target"
        " WHERE name.workspace = :workspace AND name.id IN :keys AND relation.type = 'resolves_to'"
        " AND address.type = 'ip_address' AND EXISTS (SELECT 1 FROM claim WHERE claim.workspace = :workspace"
        f" AND claim.about = relation.number AND claim.scan = :scan{COUNTS})",
        list(names),
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    found: dict[bytes, set[str]] = {}
    for name, key in rows:
        found.setdefault(bytes(name), set()).add(read_key(key)[0])
    return found
