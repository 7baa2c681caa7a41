"""What is kept and said carries its workspace: tables, indexes, documents, cache keys, subjects; or it says why not."""

import ast
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import pytest

from services.catalogue import SERVICES
from services.kernel.messages import envelop
from services.kernel.once_store import MIGRATIONS
from services.kernel.sql.migrations import load
from services.kernel.sql.sqlite import SqliteSql
from tests.golden.samples import make_sample, message_types

ROOT: Final = Path(__file__).parents[2]
PASSING: Final = "messages of all workspaces on their way, each with its own"
PEOPLE: Final = "people belong to the installation, and to any number of workspaces"

#: Tables without a workspace in front of their key, and why.
WITHOUT: Final = {
    "inbox": PASSING,
    "outbox": PASSING,
    "failure": PASSING,
    "schema_version": "the schema is that of the installation",
    "auth.account": PEOPLE,
    "auth.first_code": PEOPLE,
    "auth.authenticator": PEOPLE,
    "auth.recovery_code": PEOPLE,
    "auth.known_place": PEOPLE,
    "auth.session": PEOPLE,
    "auth.reset": PEOPLE,
    "auth.passkey": PEOPLE,
    "auth.identity": PEOPLE,
    "auth.signing_key": "access tokens of the installation are signed by it; each names its workspace",
    "auth.revocation": "it names sessions, accounts and tokens, or a member with the workspace",
    "users.profile": PEOPLE,
    "collector.quota": "a source counts whoever asks (D23); the workspace is in the key, at its end",
    "collector.scan": "it says which workspace a scan is of, whatever workspace names it",
    "registry.health": "how well a source is, is the same for all workspaces (D12, D23)",
    "storage.search_index": "the index is one, and each document in it has its workspace",
    "configuration.provider_key": "keys of sources are the installation's (D30)",
    "configuration.settings_change": "settings are those of services, for all workspaces",
}
#: Indexes that are read across workspaces, and why: those of tables that have one in their key.
ACROSS: Final = {
    "auth.api_token_digest": "a token is found by what is shown of it, and says its workspace",
    "collector.tombstone_scan": "whose a scan is that a message names, by whatever workspace it comes from",
    "collector.hold_holder": "a collector says of all its work at once that it goes on",
    "correlation.scan_id": "whose a scan is that a message names",
    "correlation.scan_work": "whoever works takes the next scan of any workspace, and names it from then on",
    "reporting.report_scan_id": "whose a scan is that a message names",
    "scans.scan_id": "whose a scan is that a message names",
    "scans.scan_number": "numbers of scans are the installation's (D3), and found by (workspace, id) alone",
    "storage.scan_id": "whose a scan is that a message names",
    "users.invitation_digest": "an invitation is found by its code, and says its workspace",
    "users.membership_account": "the workspaces that somebody belongs to",
}
#: Where services name what they keep in documents and caches, without a workspace among it, and why.
KEYS: Final = {
    "auth/usecases/ceremonies.py": "what is begun belongs to who began it, who is in no workspace yet",
    "auth/usecases/throttle.py": "who guesses is slowed wherever he guesses: logging in is about no workspace",
    "collector/budget.py": "rates are those of sources, whoever asks (D23)",
    "collector/resolve/resolver.py": "what the DNS answers is the same for all, and kept in memory while it is good",
    "gateway/usecases/idempotency.py": "the workspace is among what the name of an answer is the digest of",
    "gateway/usecases/rate_limits.py": "a session and a token are of one workspace; addresses of none",
    "registry/store.py": "manifests of modules are the installation's",
}
#: What is done with a port, or a list of such a name, that has no key.
NO_KEY: Final = {"append", "values", "declare", "ping", "close"}


async def schema(service: str, folder: Path) -> tuple[dict[str, list[str]], dict[str, tuple[str, list[str]]]]:
    """The keys of a service's tables, and of its indexes with their tables, by what its migrations make."""
    sql = SqliteSql(folder / f"{service}.db")
    await sql.migrate([*MIGRATIONS, *load(f"services.{service}.migrations")])
    await sql.close()
    tables: dict[str, list[str]] = {}
    indexes: dict[str, tuple[str, list[str]]] = {}
    with closing(sqlite3.connect(folder / f"{service}.db")) as store:
        for name, table, kind in store.execute("SELECT name, tbl_name, type FROM sqlite_master").fetchall():
            if kind == "table" and not name.startswith("sqlite_"):
                columns = store.execute(f"PRAGMA table_info({name})").fetchall()
                tables[name] = [column[1] for column in sorted(columns, key=lambda each: each[5]) if column[5]]
            elif kind == "index" and not name.startswith("sqlite_"):
                columns = store.execute(f"PRAGMA index_info({name})").fetchall()
                indexes[name] = (table, [column[2] for column in columns])
    return tables, indexes


WITH_TABLES: Final = sorted(name for name in SERVICES if (ROOT / "services" / name / "migrations").is_dir())


@pytest.mark.parametrize("service", WITH_TABLES)
async def test_every_table_is_kept_by_workspace(service: str, tmp_path: Path) -> None:
    tables, indexes = await schema(service, tmp_path)
    without = {name for name, key in tables.items() if key[:1] != ["workspace"]}
    of_service = {name.partition(".")[2] for name in WITHOUT if name.startswith(f"{service}.")}
    assert without - {name for name in WITHOUT if "." not in name} == of_service
    across = {name for name, (table, key) in indexes.items() if table not in without and key[:1] != ["workspace"]}
    assert across == {name.partition(".")[2] for name in ACROSS if name.startswith(f"{service}.")}


@pytest.mark.parametrize("kind", sorted(message_types()))
def test_every_message_travels_under_its_workspace(kind: str) -> None:
    message = message_types()[kind]
    made = msgspec.convert(make_sample(message, 0), message)
    envelope = envelop(made, source=kind.split(".")[2], workspace=UUID(int=7), id=UUID(int=8))
    assert envelope.subject.startswith(f"{kind}.")
    assert UUID(int=7).hex in envelope.subject.replace("-", "")


def keyed(path: Path) -> Iterator[str]:
    """Calls of documents, caches and indexes in a file, as they are written."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = ast.unparse(node.func.value)
            if node.func.attr not in NO_KEY and re.search(r"(^|\.|_)(documents|cache|search|blobs)$", on):
                yield ast.unparse(node)


def test_what_is_kept_elsewhere_than_in_tables_is_kept_by_workspace() -> None:
    """Ports of documents, blobs and search take the workspace first; a key of a cache has it in it."""
    found = set()
    for name in SERVICES:
        for path in (ROOT / "services" / name).rglob("*.py"):
            for call in keyed(path):
                if "workspace" not in call:
                    found.add(path.relative_to(ROOT / "services").as_posix())
    assert found == KEYS.keys()
