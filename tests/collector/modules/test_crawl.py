"""How far a site can lead the crawler on: a site's own rules and links decide what is asked, not how much is done."""

import asyncio
from types import SimpleNamespace
from typing import Any

from services.collector.context import HttpAnswer
from services.collector.modules import crawl
from services.collector.pages.robots import Robots, read_robots

HOST = "www.example.org"


class Rules(Robots, frozen=True):
    """Rules that count how often they are asked."""

    asked: list[str]

    def allows(self, path: str, agent: str) -> bool:
        self.asked.append(path)
        return super().allows(path, agent)


def rules(text: str) -> Rules:
    read = read_robots(text)
    return Rules(groups=read.groups, disallowed=read.disallowed, sitemaps=read.sitemaps, asked=[])


def page(url: str, body: bytes = b"<p>nothing") -> HttpAnswer:
    return HttpAnswer(at=1, url=url, status=200, headers=(("Content-Type", "text/html"),), body=body)


def site(body: bytes = b"<p>nothing", pages: int = 30) -> Any:
    """A site all of whose pages are the same."""

    async def get(url: str, **_: Any) -> HttpAnswer:
        return page(url, body)

    return SimpleNamespace(http=SimpleNamespace(get=get), options={"pages": pages, "depth": 3})


def links(count: int, below: str = "") -> list[str]:
    return [f"https://{HOST}/{below}{number}" for number in range(count)]


async def test_after_many_refused_links_the_site_is_left_alone() -> None:
    robots = rules("User-agent: *\nDisallow: /no/")
    asked = [each async for each in crawl.follow(links(5_000, "no/"), set(), robots, HOST, site())]
    assert (asked, len(robots.asked)) == ([], crawl.MAX_REFUSED)


async def test_a_refused_path_is_judged_once() -> None:
    robots = rules("User-agent: *\nDisallow: /no/")
    same = [f"https://{HOST}/no/?{number}" for number in range(100)]
    assert [each async for each in crawl.follow([*same, f"https://{HOST}/yes"], set(), robots, HOST, site())]
    assert robots.asked == ["/no/", "/yes"]


def test_of_a_page_so_many_links_are_looked_at() -> None:
    body = b"".join(b"<a href=/%d>" % number for number in range(1_500))
    assert len(crawl.links_of(page(f"https://{HOST}/", body), HOST)) == crawl.MAX_LINKS


async def test_others_have_a_turn_between_links() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    robots = rules("User-agent: *\nDisallow: /no/")
    assert [each async for each in crawl.follow(links(200, "no/"), set(), robots, HOST, site())] == []
    task.cancel()
    assert turns >= 200
