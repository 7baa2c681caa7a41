"""The sources of the lab, asked by the modules: each teaches something, and nothing but the truth."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import pytest

from lab.generate import generate
from lab.providers import Provider, Request, load_providers
from lab.truth import all_entities
from lab.web.certificates import Authority
from lab.world import World
from services.collector import context
from services.collector.context import Answer, DnsAnswer, HttpAnswer, SourceError, TextAnswer, Unreachable
from services.collector.manifest import MODULES, Manifest, read_manifest
from services.collector.resolve.answer import Answer as Resolution
from services.collector.resolve.answer import Record
from services.contracts import entities
from services.contracts.claims import Absence, Attribute, Claim, Entity, Malformed, Relation
from tests.collector.recorded import NOW, Case, RecordedContext, failure, load_module

PROVIDERS = load_providers()
#: What each source is asked, by the world's facts.
ASKED = {
    **dict.fromkeys(
        ("anubis", "certspotter", "commoncrawl", "hackertarget", "myssl", "subdomaincenter", "wayback"),
        ("domain",),
    ),
    "crtsh": ("domain", "company"),
    "otx": ("domain", "address"),
    "rapiddns": ("domain", "address", "network"),
    "urlscan": ("domain", "network", "system"),
    "rdap_domain": ("domain",),
    "whois": ("domain",),
    "rdap_ip": ("address", "network"),
    "rdap_asn": ("system",),
    "ripestat": ("address", "network", "system"),
    "cymru": ("address", "network", "system"),
    "peeringdb": ("system", "carrier"),
    "gleif": ("company", "lei"),
}


@cache
def the_world() -> World:
    return generate(120, 1)


@cache
def the_truth() -> frozenset[Entity]:
    with TemporaryDirectory() as folder:
        said = all_entities(the_world(), Authority(1, Path(folder)), PROVIDERS.values())
        return frozenset(entity for entity in map(normal, said) if entity is not None)


def normal(statement: tuple[str, ...]) -> Entity | None:
    try:
        return entities.entity(*statement)
    except Malformed:
        return None


def subject(kind: str) -> Entity:
    world = the_world()
    match kind:
        case "domain":
            return entities.domain(world.domain)
        case "address":
            by_both = [
                name
                for name in world.known_names("otx", world.domain)
                if name in world.known_names("rapiddns", world.domain)
            ]
            return entities.ip_address(next(filter(None, map(world.last_address, by_both))))
        case "network":
            return entities.netblock(next(block.network for block in world.netblocks if block.owner == "target"))
        case "system":
            return entities.asn(world.organisation.asn)
        case "carrier":
            return entities.organization("name", the_world().system(world.organisation.asn).description, "GB")
        case "company":
            return entities.organization("name", world.organisation.legal_name, "GB")
        case "lei":
            return entities.organization("lei", world.organisation.lei)
    raise AssertionError(kind)


class LabContext(RecordedContext):
    """A `Context` whose world is the lab's: its providers answer as functions, without a wire between."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(Case(seen=entities.asn(1), answers=[]), manifest, Path())
        self.http = _Http(self)
        self.dns = _Dns(self)
        self.whois = _Whois(self)


class _Http(context.Http):
    def __init__(self, ctx: LabContext) -> None:
        self._ctx = ctx

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        statuses: Iterable[int] | Literal["any"] = (200, 404),
        secret: Mapping[str, str] | None = None,
        **_: Any,
    ) -> HttpAnswer:
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, quote_via=quote)
        parts = urlsplit(url)
        self._ctx.allow(parts.hostname or "")
        request = Request(
            method="GET",
            host=parts.hostname or "",
            path=unquote(parts.path),
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={},
        )
        response = next(
            (found for provider in at(request.host) if (found := provider.answer(the_world(), request))), None
        )
        assert response is not None, f"nobody answers {url}"
        answer = HttpAnswer(at=NOW, url=url, status=response.status, headers=response.headers, body=response.body)
        if statuses != "any" and answer.status not in set(statuses):
            raise failure(answer, asked_with_key=False)
        return answer

    async def post(self, *_: Any, **__: Any) -> HttpAnswer:
        raise NotImplementedError


class _Whois(context.Whois):
    def __init__(self, ctx: LabContext) -> None:
        self._ctx = ctx

    async def ask(self, server: str, query: str, **_: Any) -> TextAnswer:
        self._ctx.allow(server)
        provider = next(
            (provider for provider in PROVIDERS.values() if server in provider.hosts and provider.whois), None
        )
        if provider is None:
            raise Unreachable(server)
        said = provider.whois(the_world(), server, query) or ""
        return TextAnswer(at=NOW, server=server, query=query, body=said.encode())


class _Dns(context.Dns):
    def __init__(self, ctx: LabContext) -> None:
        self._ctx = ctx

    async def ask(self, name: str, *types: str) -> DnsAnswer:
        zones = {zone: provider for provider in PROVIDERS.values() for zone in provider.zones}
        zone = max((zone for zone in zones if name.endswith(f".{zone}")), key=len)
        label = name.removesuffix(f".{zone}")
        found = [zones[zone].lookup(the_world(), asked, types[0]) for asked in (name, label)]
        data = next((said for said in found if said), None)
        records = tuple(Record(name, types[0], 300, value) for value in data or ())
        status = "found" if records else "nxdomain"
        return DnsAnswer(at=NOW, resolutions=(Resolution(name=name, type=types[0], status=status, records=records),))

    async def ask_each(self, names: Sequence[str], type: str = "A") -> DnsAnswer:
        answers = [await self.ask(name, type) for name in names]
        return DnsAnswer(at=NOW, resolutions=tuple(said for answer in answers for said in answer.resolutions))

    async def ask_at(self, *_: Any) -> DnsAnswer:
        raise NotImplementedError

    async def transfer(self, *_: Any, **__: Any) -> DnsAnswer:
        raise NotImplementedError

    async def addresses(self, name: str) -> tuple[str, ...]:
        raise NotImplementedError

    def sweep(self, *_: Any) -> Any:
        raise NotImplementedError


def at(host: str) -> list[Provider]:
    return [provider for _, provider in sorted(PROVIDERS.items()) if host in provider.hosts and provider.answer]


def things(claims: Iterable[Claim]) -> Iterator[Entity]:
    for claim in claims:
        match claim:
            case Entity():
                yield claim
            case Relation():
                yield from (claim.source, claim.target)
            case Attribute() | Absence():
                yield claim.about


async def ask(module: str, seen: Entity) -> list[Claim]:
    code = load_module(module)
    manifest = read_manifest(MODULES / f"{module}.py").manifest
    claims: list[Claim] = []
    answer: Answer
    async for answer in code.collect(seen, LabContext(manifest)):
        claims += code.parse(answer, seen)
    return claims


@pytest.mark.parametrize(("module", "kind"), [(module, kind) for module, kinds in ASKED.items() for kind in kinds])
async def test_a_source_of_the_lab_teaches_nothing_but_the_truth(module: str, kind: str) -> None:
    seen = subject(kind)
    claims = await ask(module, seen)
    told = {(thing.type, thing.key) for thing in things(claims)} - {(seen.type, seen.key)}
    true = {(thing.type, thing.key) for thing in the_truth()}
    assert claims
    assert told - true == set()


@pytest.mark.parametrize(
    "module",
    [module for module, kinds in ASKED.items() if "domain" in kinds and module not in {"rdap_domain", "whois"}],
)
async def test_a_source_of_names_gives_all_that_it_knows(module: str) -> None:
    world = the_world()
    claims = await ask(module, subject("domain"))
    told = {thing.key[0] for thing in claims if isinstance(thing, Entity) and thing.type in {"domain", "hostname"}}
    assert set(world.known_names(module, world.domain)) - told == set()


async def test_what_nobody_knows_is_empty_or_refused_never_a_fault() -> None:
    for module, kinds in ASKED.items():
        if kinds[0] == "domain":
            try:
                claims = await ask(module, entities.domain("nobody-knows-this.example"))
            except SourceError:
                continue
            assert claims == []


async def test_certificates_are_of_the_organisation_that_is_asked_for_and_not_of_one_with_its_name_in_its_own() -> None:
    found = [claim for claim in await ask("crtsh", subject("company")) if isinstance(claim, Relation)]
    assert found
    assert {claim.type for claim in found} == {"operated_by"}
    assert {entities.registered_domain(claim.source.value).value for claim in found} == {the_world().domain}
