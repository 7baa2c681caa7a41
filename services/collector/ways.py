"""The ways out of a collector: resolvers, connections, word lists and wildcards that its work items have in common."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from services.collector.budget import Budget
from services.collector.context import Unauthorised
from services.collector.fetch import Client
from services.collector.item.dns import ItemDns, ScanWildcards, addresses_of
from services.collector.item.exchange import Exchanges, Owner, Recorded
from services.collector.item.http import ItemHttp, Shared
from services.collector.item.permit import Permit
from services.collector.item.run import ItemContext
from services.collector.item.sockets import PROBES_AT_ONCE, ItemTcp, ItemTls, ItemWhois
from services.collector.journal import Journal
from services.collector.keys import KeyRing
from services.collector.manifest import Manifest
from services.collector.resolve import Resolver
from services.contracts.plan import Plan
from services.contracts.settings import CollectorSettings
from services.kernel.errors import Invalid, NotFound
from services.kernel.hostport import split_host_port
from services.kernel.messages import derive
from services.kernel.service import Ports

WORDS: Final = Path(__file__).parent / "wordlists" / "names.txt"
LISTS_KEPT: Final = 2
SCANS_KEPT: Final = 64
DNS_PORT: Final = 53
PROBES: Final = Manifest(
    id="probes", version=1, title="", activity="dns", source="", format="", consumes=(), produces=(), rate=0
)


class Ways:
    """What leads out of this process, made when it is first needed and kept until `close`."""

    def __init__(self, ports: Ports, journal: Journal, budget: Budget, keys: KeyRing) -> None:
        self._ports = ports
        self._journal = journal
        self._budget = budget
        self._keys = keys
        self._shared = Shared()
        self._resolvers: dict[tuple[str, ...], Resolver] = {}
        self._clients: dict[tuple[str, ...], Client] = {}
        self._probes = asyncio.Semaphore(PROBES_AT_ONCE)
        self._wildcards: OrderedDict[tuple[UUID, UUID, bool], asyncio.Task[ScanWildcards]] = OrderedDict()
        self._lists: OrderedDict[tuple[UUID, bytes | None], tuple[str, ...]] = OrderedDict()

    async def context(
        self, manifest: Manifest, plan: Plan, owner: Owner, recorded: Recorded, *, offline: bool, at: int
    ) -> ItemContext:
        """Make the world of one work item."""
        exchanges = Exchanges(self._journal, self._budget, manifest, owner, recorded, offline=offline)
        permit = Permit(manifest, plan, at)
        resolver, client = self._resolver(plan), self._client(plan)
        settings, egress = self._ports.settings, self._ports.egress
        planned = next((module for module in plan.modules if module.id == manifest.id), None)
        return ItemContext(
            http=ItemHttp(client, self._shared, exchanges, permit, settings.user_agent),
            dns=ItemDns(
                resolver, exchanges, permit, await self._wildcards_of(owner.workspace, plan, resolver, offline=offline)
            ),
            whois=ItemWhois(egress, resolver, exchanges, permit),
            tls=ItemTls(client, exchanges, permit),
            tcp=ItemTcp(egress, exchanges, permit, self._probes),
            scope=plan.scope,
            at=at,
            options={**manifest.options, **(planned.options if planned else {})},
            wordlist=await self._words(manifest, owner.workspace, plan),
            key=partial(self._key, manifest),
            exchanges=exchanges,
        )

    def forget(self, workspace: UUID, scan: UUID) -> None:
        """Drop what is kept of a scan."""
        for offline in (False, True):
            self._wildcards.pop((workspace, scan, offline), None)

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        for resolver in self._resolvers.values():
            await resolver.close()

    def _key(self, manifest: Manifest) -> str | None:
        if manifest.key and self._keys.is_shut(manifest.key):
            raise Unauthorised(f"the key {manifest.key} does not open: it was sealed under another master key")
        secret = self._keys.find(manifest.key) if manifest.key else None
        if secret is None and manifest.key_required:
            raise Unauthorised(f"no key {manifest.key}")
        return secret

    def _asked(self, plan: Plan) -> tuple[str, ...]:
        """The resolvers of a scan: its own, those that are set while we run, or those of our start."""
        live: CollectorSettings = self._ports.live.now
        return plan.resolvers or live.resolvers or self._ports.settings.resolvers

    def _resolver(self, plan: Plan) -> Resolver:
        asked = self._asked(plan)
        if asked not in self._resolvers:
            upstreams = [_upstream(text) for text in asked] if asked else None
            self._resolvers[asked] = Resolver(self._ports.egress, upstreams)
        return self._resolvers[asked]

    def _client(self, plan: Plan) -> Client:
        asked = self._asked(plan)
        if asked not in self._clients:
            resolver = self._resolver(plan)
            resolve = partial(addresses_of, resolver)
            self._clients[asked] = Client(self._ports.egress, resolve, self._ports.settings.ca_file)
        return self._clients[asked]

    async def _wildcards_of(self, workspace: UUID, plan: Plan, resolver: Resolver, *, offline: bool) -> ScanWildcards:
        place = (workspace, plan.scan, offline)
        task = self._wildcards.get(place)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(self._make_wildcards(workspace, plan, resolver, offline=offline))
            self._wildcards[place] = task
            while len(self._wildcards) > SCANS_KEPT:
                self._wildcards.popitem(last=False)
        return await asyncio.shield(task)

    async def _make_wildcards(self, workspace: UUID, plan: Plan, resolver: Resolver, *, offline: bool) -> ScanWildcards:
        item = derive(plan.scan, "wildcards")
        recorded = await self._journal.recorded(workspace, [item])
        owner = Owner(workspace, plan.scan, item, 0)
        exchanges = Exchanges(self._journal, self._budget, PROBES, owner, recorded.get(item, {}), offline=offline)
        return ScanWildcards(resolver, exchanges, plan.salt)

    async def _words(self, manifest: Manifest, workspace: UUID, plan: Plan) -> Callable[[], Iterator[str]]:
        """The plan's word list for a module that guesses; read once."""
        if manifest.activity != "guess":
            return iter_nothing
        place = (workspace, plan.words)
        words = self._lists.get(place)
        if words is None:
            content = None if plan.words is None else await self._ports.blobs.get(workspace, plan.words)
            words = self._lists[place] = tuple(_read_words(content))
            while len(self._lists) > LISTS_KEPT:
                self._lists.popitem(last=False)
        return partial(iter, words)


def iter_nothing() -> Iterator[str]:
    """The word list of a module that does not guess."""
    return iter(())


def _upstream(text: str) -> tuple[str, int]:
    try:
        return split_host_port(text, DNS_PORT)
    except ValueError:
        raise Invalid(f"{text} is no resolver: say ADDRESS or ADDRESS:PORT") from None


def _read_words(uploaded: bytes | None) -> Iterator[str]:
    """The words of a list, one a line; ``#`` begins a comment."""
    try:
        lines = (uploaded if uploaded is not None else WORDS.read_bytes()).splitlines()
    except FileNotFoundError:
        raise NotFound("the word list that comes with Mirage is missing") from None
    for line in lines:
        word = line.partition(b"#")[0].strip().lower()
        if word:
            yield word.decode("utf-8", "replace")
