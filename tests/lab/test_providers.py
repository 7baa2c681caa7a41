import json

import pytest

from lab.generate.names import SOURCES
from lab.providers import Key, Provider, Request, Response, load_providers, text
from lab.running import Lab, running_lab
from lab.world import World
from tests.lab.clients import ask, fetch, rcode, say, session, values

PROVIDERS = load_providers()


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_a_provider_offers_something_and_says_where(provider: Provider) -> None:
    assert provider.answer or provider.whois or provider.lookup
    assert bool(provider.hosts) == bool(provider.answer or provider.whois)
    assert bool(provider.zones) == bool(provider.lookup)
    assert all(host == host.lower() and "." in host for host in (*provider.hosts, *provider.zones))


async def test_every_host_of_a_provider_resolves_and_answers_under_its_own_certificate(lab: Lab) -> None:
    async with session(lab) as client:
        for host in lab.routing.provider_addresses:
            assert values(await ask(lab, host), "A") == {lab.routing.provider_addresses[host]}
            if 443 in lab.routing.ports(host):
                status, _, _ = await fetch(client, f"https://{host}/nothing/of/the/kind")
                assert status < 500


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_odd_requests_get_an_answer_and_no_exception(provider: Provider, world: World) -> None:
    for path in ("/", "/x", "/../..", "/v1/\x00", "/" + "a" * 3000):
        for query in ({}, {"q": ["%"], "domain": [""], "url": ["*"]}):
            request = Request(method="GET", host=(provider.hosts or ("",))[0], path=path, query=query, headers={})
            if provider.answer:
                assert isinstance(provider.answer(world, request), Response | None)
    for line in ("", "example.org", "-T dn " + "x" * 500, "\x00"):
        if provider.whois:
            provider.whois(world, provider.hosts[0], line)
    for name in ("", "x", "4.3.2.1.x", *provider.zones):
        if provider.lookup:
            provider.lookup(world, name, "TXT")


async def test_crtsh_lists_the_names_that_it_knows(lab: Lab) -> None:
    async with session(lab) as client:
        _, headers, body = await fetch(client, f"https://crt.sh/?q=%25.{lab.target}&output=json")
    rows = json.loads(body)
    names = {name for row in rows for name in row["name_value"].split("\n")}
    assert {name for name in names if name[0] != "*"} == set(lab.world.known_names("crtsh", lab.target))
    assert headers["content-type"] == ["application/json"]
    assert {"issuer_ca_id", "issuer_name", "common_name", "name_value", "id", "entry_timestamp"} < set(rows[0])


async def test_hackertarget_lists_names_with_addresses(lab: Lab) -> None:
    async with session(lab) as client:
        _, _, body = await fetch(client, f"https://api.hackertarget.com/hostsearch/?q={lab.target}")
    rows = dict(line.split(",") for line in body.splitlines())
    assert set(rows) == set(lab.world.known_names("hackertarget", lab.target))
    host = next(host for host in lab.world.hosts if host.name in rows)
    assert rows[host.name] == host.addresses[0]


def test_every_source_of_names_in_the_world_is_known_to_it(world: World) -> None:
    assert {source for host in world.hosts for source in host.known_to} == set(SOURCES)


def _echo(_world: World, request: Request) -> Response | None:
    return text(json.dumps([request.method, request.path, request.query, request.body.decode()]))


def _whois(world: World, server: str, query: str) -> str | None:
    return f"% {server}\ndomain: {query}\n" if query == world.domain else None


def _zone(_world: World, name: str, kind: str) -> list[str] | None:
    if name != "2.0.0.127.list.test":
        return None
    return ["127.0.0.2"] if kind == "A" else []


MADE_UP = {
    provider.id: provider
    for provider in (
        Provider(id="a_first", hosts=("shared.test",), answer=lambda _, request: None),
        Provider(id="b_echo", hosts=("shared.test",), answer=_echo),
        Provider(id="keyed", hosts=("keyed.test",), answer=_echo, key=Key(where="header", name="X-Key", value="k1")),
        Provider(id="asked", hosts=("asked.test",), answer=_echo, key=Key(where="query", name="key", value="k2")),
        Provider(id="whois", hosts=("whois.test",), whois=_whois),
        Provider(id="list", zones=("list.test",), lookup=_zone, states=lambda _: [("identifier", "listed", "yes")]),
    )
}


async def test_requests_reach_the_provider_whole(world: World) -> None:
    async with running_lab(world, providers=MADE_UP) as lab, session(lab) as client:
        async with client.post("https://shared.test/a%20b?x=1&x=2&y=", data=b"body") as response:
            assert await response.json(content_type=None) == ["POST", "/a b", {"x": ["1", "2"], "y": [""]}, "body"]
        assert lab.journal.providers() == {"b_echo": 1}
        assert lab.truth["entities"]["identifier"].count(("listed", "yes")) == 1


async def test_a_key_is_asked_for_where_the_source_wants_it(world: World) -> None:
    async with running_lab(world, providers=MADE_UP) as lab, session(lab) as client:
        assert (await fetch(client, "https://keyed.test/"))[0] == 401
        assert (await fetch(client, "https://keyed.test/", headers={"X-Key": "k2"}))[0] == 401
        assert (await fetch(client, "https://keyed.test/", headers={"X-Key": "k1"}))[0] == 200
        assert (await fetch(client, "https://asked.test/"))[0] == 401
        assert (await fetch(client, "https://asked.test/?key=k2"))[0] == 200


async def test_whois_answers_a_line_and_closes(world: World) -> None:
    async with running_lab(world, providers=MADE_UP) as lab:
        ip = lab.routing.provider_addresses["whois.test"]
        assert await say(lab, ip, 43, world.domain.encode() + b"\r\n") == (
            f"% whois.test\r\ndomain: {world.domain}\r\n".encode()
        )
        assert await say(lab, ip, 43, b"other.example\r\n") == b""
        assert lab.journal.providers() == {"whois": 1}
        with pytest.raises(KeyError):
            lab.dial(ip, 4343)


async def test_a_zone_may_be_a_function(world: World) -> None:
    async with running_lab(world, providers=MADE_UP) as lab:
        assert values(await ask(lab, "2.0.0.127.list.test"), "A") == {"127.0.0.2"}
        assert rcode(await ask(lab, "2.0.0.127.list.test", "TXT")) == "NOERROR"
        assert rcode(await ask(lab, "3.0.0.127.list.test")) == "NXDOMAIN"
