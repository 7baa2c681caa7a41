"""Where a request comes from is what trusted proxies say, and what anybody may write before that is nobody's word."""

from typing import Any

import pytest

from services.gateway.usecases.proxies import Proxied
from services.kernel.errors import Invalid
from services.kernel.networks import parse_networks
from tests.kernel.asgi import request
from tests.kernel.organ import Organ, compose_app

OURS = ("127.0.0.0/8", "10.0.0.0/24", "fd00::/8")


class Seen:
    """An application that notes where requests come from, and what they say of it."""

    def __init__(self) -> None:
        self.client = ""
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: dict[str, Any], receive: object, send: Any) -> None:
        self.client, self.headers = scope["client"][0], scope["headers"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def origin(trusted: tuple[str, ...], *said: str) -> str:
    """Where a request is taken to come from that came from 127.0.0.1 and says so in X-Forwarded-For."""
    seen = Seen()
    await request(
        Proxied(seen, parse_networks(trusted)), "GET", "/", headers=[("X-Forwarded-For", each) for each in said]
    )
    return seen.client


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "192.0.2.0/24")])
async def test_who_is_no_trusted_proxy_says_nothing_of_where_a_request_comes_from(trusted: tuple[str, ...]) -> None:
    assert await origin(trusted, "198.51.100.7") == "127.0.0.1"


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ([], "127.0.0.1"),
        (["198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.0.0.3"], "198.51.100.7"),
        (["198.51.100.7", "10.0.0.3"], "198.51.100.7"),
        (["198.51.100.7 ,10.0.0.3,127.0.0.9"], "198.51.100.7"),
        (["10.0.0.3"], "10.0.0.3"),
        (["2001:db8::1, fd00::2"], "2001:db8::1"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["fe80::1%any text"], "fe80::1"),
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
    ],
)
async def test_it_comes_from_the_first_address_from_the_right_that_is_no_trusted_proxy(
    said: list[str], where: str
) -> None:
    assert await origin(OURS, *said) == where


@pytest.mark.parametrize(
    "spoofed",
    [
        ["203.0.113.1, 198.51.100.7"],
        ["203.0.113.1", "198.51.100.7"],
        ["127.0.0.1, 198.51.100.7"],
        ["203.0.113.1, 10.0.0.3, 198.51.100.7, 10.0.0.3"],
        [", ".join(["203.0.113.1"] * 5000) + ", 198.51.100.7"],
    ],
)
async def test_what_whoever_asks_wrote_before_that_counts_for_nothing(spoofed: list[str]) -> None:
    assert await origin(OURS, *spoofed) == "198.51.100.7"


@pytest.mark.parametrize(
    "malformed", ["", "unknown", "_hidden", "198.51.100.7.", "0x7f.1", "198.51.100.7; DROP", "2001:db8::1::2", "é", "1"]
)
async def test_what_is_no_address_is_ignored_with_all_that_stands_before_it(malformed: str) -> None:
    assert await origin(OURS, malformed) == "127.0.0.1"
    assert await origin(OURS, f"203.0.113.1, {malformed}, 10.0.0.3") == "10.0.0.3"


@pytest.mark.parametrize(
    ("trusted", "host", "proto", "status"),
    [
        (OURS, "mirage.example.org", "https", 200),
        (OURS, "mirage.example.org", "", 200),
        (OURS, "mirage.example.org", "http", 403),
        (OURS, "elsewhere.example.org", "https", 403),
        (OURS, "", "https", 403),
        ((), "mirage.example.org", "https", 403),
    ],
)
async def test_a_page_of_where_the_proxy_was_asked_is_none_from_elsewhere(
    trusted: tuple[str, ...], host: str, proto: str, status: int
) -> None:
    app = Proxied(compose_app(Organ()), parse_networks(trusted))
    headers = {"Origin": "https://mirage.example.org"}
    headers |= {"X-Forwarded-Host": host} if host else {}
    headers |= {"X-Forwarded-Proto": proto} if proto else {}
    reply = await request(app, "GET", "/v1/roll", headers=headers)
    assert reply.status == status


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example.org", "10.0.0.0-10.0.0.9"])
def test_what_is_no_network_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(Invalid, match="is no network"):
        parse_networks(["127.0.0.1", wrong])
