"""HTTP as a module sees it: what a status means, where a redirect leads, what is kept and what must never be."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from services.collector.context import (
    Blocked,
    Nameless,
    RateLimited,
    Refused,
    Skipped,
    SourceError,
    Unauthorised,
    Unreachable,
)
from services.collector.item.exchange import MASK
from services.collector.item.http import MAX_URL, _retry_after
from services.kernel.egress.location import BadUrl, locate
from services.kernel.egress.proxy import Proxy
from tests.collector.conftest import Certified
from tests.collector.fetch.webs import ADDRESS, Behave, Net, page, says, serves
from tests.collector.workshop import ELSEWHERE, WORKSPACE, Workshop, manifest, plan

SOURCE = manifest()
ANYWHERE = manifest(hosts=("*",))
ACTIVE = manifest("look", "active")
URL = "http://www.example.org/"
OURS = "http://www.example.com/"
SECRET = 'k3y+/=& "s3cr3t"'


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.item.http.RETRY_DELAYS", (0.0, 0.0))


@pytest.fixture(autouse=True)
def named(net: Net) -> None:
    net.names["www.example.com"] = net.names["example.com"] = [ADDRESS]


def routes(**answers: bytes):
    """What each path is answered with; a dash stands for the root."""

    async def behave(asked, writer) -> None:
        path = asked.target.partition("?")[0].strip("/") or "root"
        writer.write(answers.get(path, page(b"nothing", "404 Not Found")))

    return behave


def moved(to: str, status: str = "302 Found") -> bytes:
    return page(b"", status, f"Location: {to}")


# What a status means


@pytest.mark.parametrize(
    ("status", "headers", "secret", "failure"),
    [
        (200, (), False, None),
        (404, (), False, None),
        (204, (), False, Unreachable),
        (301, (), False, Unreachable),
        (400, (), False, Unreachable),
        (401, (), False, Unauthorised),
        (403, (), False, Blocked),
        (403, (), True, Unauthorised),
        (403, ("WWW-Authenticate: Bearer",), False, Unauthorised),
        (410, (), False, Unreachable),
        (429, (), False, RateLimited),
        (429, ("Retry-After: 7",), False, RateLimited),
        (451, (), False, Blocked),
        (500, (), False, Unreachable),
        (503, (), False, Unreachable),
        (503, ("Retry-After: 7",), False, RateLimited),
        (599, (), False, Unreachable),
    ],
)
async def test_a_status_that_a_source_was_not_to_give_is_the_failure_it_stands_for(
    net: Net, shop: Workshop, status: int, headers: tuple[str, ...], secret: bool, failure: type[SourceError] | None
) -> None:
    await net.serve(serves(b"x", f"{status} Reason", *headers))
    http = await shop.http(net.client(), SOURCE)
    secrets = {"key": "secret"} if secret else None
    if failure is None:
        assert (await http.get(URL, secret=secrets)).status == status
        return
    with pytest.raises(failure) as raised:
        await http.get(URL, secret=secrets)
    assert type(raised.value) is failure
    if isinstance(raised.value, RateLimited):
        assert raised.value.after == (7.0 if headers else None)
    (record, *_) = await shop.records()
    assert (record.status, record.size) == (str(status), 0 if status == 204 else 1)
    assert record.error
    again = await shop.http(net.client(), SOURCE, offline=True)
    with pytest.raises(failure) as recalled:
        await again.get(URL, secret=secrets)
    assert (type(recalled.value), str(recalled.value)) == (type(raised.value), str(raised.value))


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 429, 500, 503])
async def test_whatever_a_target_says_is_an_answer(net: Net, shop: Workshop, status: int) -> None:
    web = await net.serve(serves(b"x", f"{status} Reason", "Retry-After: 5"))
    http = await shop.http(net.client(), ACTIVE)
    answer = await http.get(OURS, statuses="any", verify=False)
    assert (answer.status, answer.body, len(web.asked)) == (status, b"x", 1)


@pytest.mark.parametrize(
    ("address", "port", "failure"),
    [("198.51.100.7", 81, Refused), ("203.0.113.1", 80, Unreachable), ("", 80, Nameless), ("127.0.0.1", 80, Skipped)],
)
async def test_what_went_wrong_on_the_way_is_told_apart_and_recorded(
    net: Net, shop: Workshop, address: str, port: int, failure: type[SourceError]
) -> None:
    await net.serve(serves())
    net.names["www.example.com"] = [address] if address else []
    for offline in (False, True):
        http = await shop.http(net.client(), ACTIVE, offline=offline)
        with pytest.raises(failure) as raised:
            await http.get(f"http://www.example.com:{port}/", statuses="any")
        assert type(raised.value) is failure
    (record,) = await shop.records()
    assert record.error
    assert record.blob is None


async def test_a_source_that_fails_for_a_moment_is_asked_again(net: Net, shop: Workshop) -> None:
    async def third_time(asked, writer) -> None:
        writer.write(page(b"x") if len(web.asked) == 3 else page(b"", "502 Bad Gateway"))

    web = await net.serve(third_time)
    http = await shop.http(net.client(), SOURCE)
    assert (await http.get(URL)).body == b"x"
    assert [record.status for record in await shop.records()] == ["502", "502", "200"]
    offline = await shop.http(net.client(), SOURCE, offline=True)
    assert (await offline.get(URL)).body == b"x"


async def test_a_source_that_keeps_failing_is_asked_three_times(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves(b"", "500 Oops"))
    with pytest.raises(Unreachable, match="status 500"):
        await (await shop.http(net.client(), SOURCE)).get(URL)
    assert len(web.asked) == 3


@pytest.mark.parametrize(
    "behave",
    [serves(b"", "400 Bad Request"), serves(b"", "301 Moved"), says(b"garbage")],
    ids=["400", "301", "garbage"],
)
async def test_a_source_whose_failure_does_not_pass_is_asked_once(net: Net, shop: Workshop, behave: Behave) -> None:
    web = await net.serve(behave)
    with pytest.raises(Unreachable):
        await (await shop.http(net.client(), SOURCE)).get(URL)
    assert len(web.asked) == 1


async def test_a_source_is_left_alone_for_a_while_before_it_is_asked_again_but_not_for_what_the_journal_has(
    net: Net, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.collector.item.http.RETRY_DELAYS", (0.125, 0.375))
    sleep, slept = asyncio.sleep, []

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr("services.collector.item.http.asyncio.sleep", note)
    await net.serve(serves(b"", "502 Bad Gateway"))
    for offline in (False, False, True):
        http = await shop.http(net.client(), SOURCE, offline=offline)
        with pytest.raises(Unreachable, match="status 502"):
            await http.get(URL)
    assert [seconds for seconds in slept if seconds > 0.1] == [0.125, 0.375]


RETRY_AFTERS = [
    ("0", 0.0),
    ("120", 120.0),
    (" 120 ", 120.0),
    ("99999999999999999999", 86_400.0),
    ("-5", None),
    ("1.5", None),
    ("soon", None),
    ("", None),
    ("\xb2", None),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ("Wed, 21 Oct 2015 07:28:00", 0.0),
    ("Wed, 99 Foo 2015 99:99:99 GMT", None),
    ("Wed, 21 Oct 99999 07:28:00 GMT", None),
]


@pytest.mark.parametrize(("text", "seconds"), RETRY_AFTERS)
def test_every_form_of_retry_after_is_understood_or_left_aside(text: str, seconds: float | None) -> None:
    assert _retry_after(text) == seconds


def test_a_date_in_retry_after_is_so_many_seconds_from_now() -> None:
    found = _retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    assert found is not None
    assert 80 < found <= 90
    assert _retry_after(format_datetime(datetime.now(UTC) + timedelta(days=900), usegmt=True)) == 86_400.0


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,5} [\d:]{1,9} ?[A-Z+\d-]{0,5}"))
def test_no_retry_after_is_more_than_a_day_or_an_error(text: str) -> None:
    found = _retry_after(text)
    assert found is None or 0.0 <= found <= 86_400.0


# Redirects


async def test_redirects_are_followed_and_each_is_evidence(net: Net, shop: Workshop) -> None:
    await net.serve(routes(root=moved("/one"), one=moved("http://api.example.org/two?x=1#y", "308 P"), two=page(b"x")))
    net.names["api.example.org"] = [ADDRESS]
    http = await shop.http(net.client(), SOURCE)
    answer = await http.get(URL)
    assert (answer.status, answer.body, answer.url) == (200, b"x", "http://api.example.org/two?x=1#y")
    assert [(hop.url, hop.status, hop.location, hop.followed) for hop in answer.hops] == [
        (URL, 302, f"{URL}one", True),
        (f"{URL}one", 308, "http://api.example.org/two?x=1#y", True),
    ]
    assert list(answer.records) == [record.id for record in await shop.records()]
    offline = await shop.http(net.client(), SOURCE, offline=True)
    assert await offline.get(URL) == answer


UNFOLLOWED = [
    ("http://www.example.net/", "out of scope"),
    ("http://www.example.org/", "out of scope"),
    ("http://secret.example.com/", "out of scope"),
    ("http://127.0.0.1/", "out of scope"),
    ("http://198.51.100.7/", "out of scope"),
    ("http://[::1]/", "out of scope"),
    ("http://[::1%25lo]/", "zone"),
    ("http://2130706433/", "Expected 4 octets"),
    ("http://127.1/", "Expected 4 octets"),
    ("http://[bad/", "Invalid IPv6"),
    ("http://a[b/", "bracket|IPv6|netloc"),
    ("http://www.example.com:0/", "no port"),
    ("http://www.example.com:99999/", "[Pp]ort"),
    ("ftp://www.example.com/", "http"),
    ("javascript:alert(1)", "http"),
    ("file:///etc/passwd", "http"),
    ("data:text/html,x", "http"),
    ("//", "circles"),
    ("/" + "a" * MAX_URL, "longer"),
    ("", "circles"),
    ("/", "circles"),
]


@pytest.mark.parametrize(("location", "reason"), UNFOLLOWED, ids=lambda text: text[:40] or "empty")
async def test_a_redirect_that_leads_astray_is_recorded_and_not_followed(
    net: Net, shop: Workshop, location: str, reason: str
) -> None:
    web = await net.serve(serves(b"x", "302 Found", f"Location: {location}"))
    planned = plan(excludes=["secret.example.com"])
    http = await shop.http(net.client(), ACTIVE, planned)
    answer = await http.get(OURS, statuses="any", verify=False)
    assert (answer.status, answer.body, answer.url) == (302, b"x", OURS)
    assert [hop.followed for hop in answer.hops] == [False]
    assert len(answer.hops[0].location) <= MAX_URL
    assert len(web.asked) == 1
    with pytest.raises(Unreachable, match=reason):
        await http.get(OURS, statuses=(200,), verify=False)


async def test_no_redirect_leads_a_source_to_the_target_or_to_a_private_address(net: Net, shop: Workshop) -> None:
    net.names["inside.example.net"] = ["10.0.0.1"]
    web = await net.serve(
        routes(target=moved(OURS), address=moved("http://10.0.0.1/"), name=moved("http://inside.example.net/"))
    )
    http = await shop.http(net.client(), ANYWHERE)
    with pytest.raises(Unreachable, match="itself in the scope"):
        await http.get(f"{URL}target")
    for path in ("address", "name"):
        with pytest.raises(Skipped, match="private"):
            await http.get(URL + path)
    assert len(web.asked) == 3
    networked = await shop.http(net.client(), ANYWHERE, plan(includes=["203.0.113.0/24"]), item=2)
    with pytest.raises(Skipped, match="itself in the scope"):
        await networked.get("http://203.0.113.5/")


async def test_a_name_in_the_scope_leads_to_no_address_that_was_ruled_out(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves())
    net.names["six.example.com"] = [f"::ffff:{ADDRESS}"]
    for number, host in enumerate(("www.example.com", "six.example.com")):
        http = await shop.http(net.client(), ACTIVE, plan(excludes=["198.51.100.0/24"]), item=number)
        with pytest.raises(Skipped, match="excluded"):
            await http.get(f"http://{host}/", statuses="any")
    assert not web.connections


@pytest.mark.parametrize("most", [1, 3, 5])
async def test_a_chain_of_redirects_ends_somewhere(net: Net, shop: Workshop, most: int) -> None:
    async def further(asked, writer) -> None:
        writer.write(moved(f"/{int(asked.target.strip('/') or 0) + 1}"))

    web = await net.serve(further)
    http = await shop.http(net.client(), SOURCE)
    with pytest.raises(Unreachable, match=f"more than {most} redirects"):
        await http.get(URL, redirects=most)
    assert len(web.asked) == most + 1


async def test_a_loop_of_redirects_is_left_at_once(net: Net, shop: Workshop) -> None:
    web = await net.serve(routes(root=moved("/one"), one=moved("/two"), two=moved("/one")))
    http = await shop.http(net.client(), SOURCE)
    with pytest.raises(Unreachable, match="circles"):
        await http.get(URL)
    assert [asked.target for asked in web.asked] == ["/", "/one", "/two"]


async def test_a_redirect_is_an_answer_only_where_none_is_to_be_followed(net: Net, shop: Workshop) -> None:
    web = await net.serve(routes(root=moved("/one"), one=page(b"x")))
    target = await shop.http(net.client(), ACTIVE)
    assert (await target.get(OURS, statuses="any", redirects=0)).status == 302
    source = await shop.http(net.client(), SOURCE, item=2)
    assert (await source.get(URL, statuses=(302,), redirects=0)).status == 302
    with pytest.raises(Unreachable):
        await source.get(URL, redirects=0)
    with pytest.raises(Unreachable, match="unexpected status 302"):
        await source.post(URL, b"{}")
    assert "/one" not in {asked.target for asked in web.asked}


# Secrets


async def contents(shop: Workshop, folder) -> str:
    """Everything that is on disk."""
    blobs = [await shop.blobs.get(WORKSPACE, digest) async for some in shop.blobs.digests(WORKSPACE) for digest in some]
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"\n".join([*blobs, *files]).decode("latin-1")


async def test_a_secret_is_nowhere_but_in_the_request(net: Net, shop: Workshop, tmp_path) -> None:
    from html import escape
    from json import dumps
    from urllib.parse import quote, quote_plus

    spellings = [SECRET, quote(SECRET, safe=""), quote_plus(SECRET), dumps(SECRET), escape(SECRET)]

    async def echo(asked, writer) -> None:
        told = "\n".join(spellings)
        writer.write(
            page(told.encode() + asked.target.encode(), "403 No", f"X-Echo: {asked.target}", f"X-Key: {SECRET}")
        )

    web = await net.serve(echo)
    http = await shop.http(net.client(), SOURCE)
    with structlog.testing.capture_logs() as logs, pytest.raises(Unauthorised) as raised:
        await http.get(URL, {"q": "x"}, secret={"apikey": SECRET, "Authorization:": SECRET})
    assert web.asked[0].target == f"/?q=x&apikey={quote(SECRET, safe='')}"
    assert web.asked[0].header("authorization") == SECRET
    answer = await http.get(URL, {"q": "x"}, secret={"apikey": SECRET}, statuses=(403,))
    seen = "\n".join([repr(answer), repr(raised.value), repr(logs), await contents(shop, tmp_path)])
    for text in ("k3y", "s3cr3t"):
        assert text not in seen
    assert (await shop.records())[0].request == f"GET {URL}?q=x"
    assert answer.body.count(MASK.encode()) == len(spellings) + 1


@pytest.mark.parametrize("url", [f"{URL}a b", "ftp://www.example.org/", "http://www.example.net/x"])
async def test_a_request_that_cannot_be_made_does_not_tell_its_secret(net: Net, shop: Workshop, url: str) -> None:
    http = await shop.http(net.client(), SOURCE)
    with pytest.raises(Skipped) as raised:
        await http.get(url, secret={"key": "s3cr3t"})
    assert "s3cr3t" not in str(raised.value)


async def test_a_secret_is_not_carried_to_where_a_redirect_leads(net: Net, shop: Workshop) -> None:
    web = await net.serve(routes(root=moved("http://api.example.org/two?key=s3cr3t"), two=page(b"x")))
    net.names["api.example.org"] = [ADDRESS]
    http = await shop.http(net.client(), SOURCE)
    await http.get(URL, secret={"X-Key:": "s3cr3t"})
    assert "s3cr3t" in web.asked[0].head
    assert "s3cr3t" not in web.asked[1].head


async def test_no_secret_can_write_a_header_of_its_own(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves())
    http = await shop.http(net.client(), SOURCE)
    with pytest.raises(Unreachable) as raised:
        await http.get(URL, secret={"X-Key:": "s3cr3t\r\nX-Evil: 1"})
    assert not web.asked
    assert "s3cr3t" not in str(raised.value)


# Limits, TLS, ways out


async def test_too_large_a_body_fails_a_source_and_is_cut_for_a_target(net: Net, shop: Workshop) -> None:
    await net.serve(serves(b"x" * 5000))
    with pytest.raises(Unreachable, match="larger than 1000"):
        await (await shop.http(net.client(), SOURCE)).get(URL, max_bytes=1000)
    answer = await (await shop.http(net.client(), ACTIVE, item=2)).get(OURS, statuses="any", max_bytes=1000)
    assert (answer.body, answer.truncated) == (b"x" * 1000, True)
    assert [record.truncated for record in await shop.records(2)] == [True]


async def test_broken_tls_is_told_of_a_target_and_keeps_a_source_out(net: Net, shop: Workshop, certified) -> None:
    await net.serve(serves(b"x"), 443, tls=certified("other.example.net"))
    answer = await (await shop.http(net.client(), ACTIVE)).get("https://www.example.com/", statuses="any", verify=False)
    assert "not valid for" in answer.tls_error
    assert answer.body == b"x"
    offline = await shop.http(net.client(), ACTIVE, offline=True)
    assert await offline.get("https://www.example.com/", statuses="any", verify=False) == answer
    with pytest.raises(Unreachable, match="TLS"):
        await (await shop.http(net.client(), SOURCE, item=2)).get("https://www.example.org/")


async def test_only_passive_modules_use_the_proxy_and_the_record_says_so(net: Net, shop: Workshop) -> None:
    async def relay(asked, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if asked.line.startswith("CONNECT") else page(b"by proxy"))

    await net.serve(relay, 3128, "198.51.100.99")
    await net.serve(serves(b"directly"))
    client = net.client(Proxy.parse("http://198.51.100.99:3128"))
    assert (await (await shop.http(client, SOURCE)).get(URL)).body == b"by proxy"
    assert (await (await shop.http(client, ACTIVE, item=2)).get(OURS, statuses="any")).body == b"directly"
    assert [(await shop.records(item))[0].egress for item in (1, 2)] == ["proxy", "direct"]


async def test_a_source_that_no_proxy_names_is_asked_directly_and_the_record_says_so(net: Net, shop: Workshop) -> None:
    await net.serve(serves(b"directly"))
    client = net.client(Proxy.parse("http://198.51.100.99:3128"), "example.org")
    assert (await (await shop.http(client, SOURCE)).get(URL)).body == b"directly"
    assert [record.egress for record in await shop.records()] == ["direct"]


async def test_a_url_of_any_length_is_not_asked_for(net: Net, shop: Workshop) -> None:
    http = await shop.http(net.client(), SOURCE)
    with pytest.raises(Skipped, match="longer"):
        await http.get(URL + "a" * MAX_URL)


# Shared answers


async def test_items_that_may_share_an_answer_ask_once_and_others_ask_themselves(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves(b"x"))
    client = net.client()
    same = [await shop.http(client, SOURCE, item=number) for number in range(20)]
    answers = await asyncio.gather(*(http.get(URL, share=60) for http in same))
    assert {answer.body for answer in answers} == {b"x"}
    assert len(web.asked) == 1
    for number in range(20):
        assert [record.id for record in await shop.records(number)] == list(answers[number].records)
    others = [
        await shop.http(client, SOURCE, item=30, workspace=ELSEWHERE),
        await shop.http(client, SOURCE, plan(networks=["10.0.0.0/8"]), item=31, scan=UUID(int=31)),
        await shop.http(client, SOURCE, plan(excludes=["198.51.100.0/28"]), item=32, scan=UUID(int=32)),
    ]
    assert (await others[0].get(URL, share=60)).body == b"x"
    assert (await others[1].get(URL, share=60)).body == b"x"
    with pytest.raises(Skipped, match="excluded"):
        await others[2].get(URL, share=60)
    assert len(web.asked) == 3


async def test_an_answer_that_is_none_for_another_item_is_not_shared_with_it(net: Net, shop: Workshop) -> None:
    await net.serve(serves(b"x" * 2000, "404 Not Found"))
    client = net.client()
    first = await shop.http(client, SOURCE)
    assert (await first.get(URL, share=60)).status == 404
    second = await shop.http(client, SOURCE, item=2)
    with pytest.raises(Unreachable, match="404"):
        await second.get(URL, statuses=(200,), share=60)
    third = await shop.http(client, SOURCE, item=3)
    with pytest.raises(Unreachable, match="larger"):
        await third.get(URL, max_bytes=1000, share=60)


async def test_an_answer_that_was_cut_off_for_one_is_asked_for_again_by_who_takes_more(
    net: Net, shop: Workshop
) -> None:
    web = await net.serve(serves(b"x" * 2000))
    for item, most, kept in ((1, 1000, 1000), (2, 10_000, 2000), (3, 5000, 2000)):
        http = await shop.http(net.client(), ACTIVE, item=item)
        answer = await http.get(OURS, statuses="any", max_bytes=most, share=60)
        assert (len(answer.body), answer.truncated) == (kept, kept < 2000)
    assert len(web.asked) == 2


async def test_an_answer_found_in_the_journal_is_judged_by_who_finds_it(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves(b"x", "404 Not Found"))
    await (await shop.http(net.client(), SOURCE)).get(URL, share=60)
    shop.shared = type(shop.shared)()  # another process
    http = await shop.http(net.client(), SOURCE, item=2)
    with pytest.raises(Unreachable, match="404"):
        await http.get(URL, statuses=(200,), share=60)
    assert len(web.asked) == 1


async def test_an_answer_over_broken_tls_is_none_for_who_wants_it_whole(
    net: Net, shop: Workshop, certified: Certified
) -> None:
    web = await net.serve(serves(b"x"), 443, tls=certified("other.example.net"))
    url, client = "https://www.example.com/", net.client()
    for item in (1, 2):
        http = await shop.http(client, ACTIVE, item=item)
        answer = await http.get(url, statuses="any", verify=False, share=60)
        assert "not valid for" in answer.tls_error
    assert len(web.asked) == 1
    with pytest.raises(Unreachable, match="TLS"):
        await (await shop.http(client, ACTIVE, item=3)).get(url, statuses="any", share=60)


async def test_a_source_that_failed_those_who_share_counts_as_failed_once(net: Net, shop: Workshop) -> None:
    await net.serve(says(b"garbage"))
    client = net.client()
    items = [await shop.http(client, SOURCE, item=number) for number in range(20)]
    failures = await asyncio.gather(*(http.get(URL, share=60) for http in items), return_exceptions=True)
    assert {type(failure) for failure in failures} == {Unreachable}
    assert not await shop.budget.broken(shop.budget.account(SOURCE))


# What is kept


async def test_the_answer_is_the_same_from_the_wire_and_from_the_journal(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves("h\xe9llo".encode("latin-1"), "200 OK", "Content-Type: text/html; charset=ISO-8859-1"))
    client = net.client()
    before = time.time_ns() // 1000
    live = await (await shop.http(client, SOURCE)).get(URL, {"q": "a b"})
    assert before <= live.at <= time.time_ns() // 1000
    assert (live.text(), live.peer, live.url) == ("héllo", f"{ADDRESS}:80", f"{URL}?q=a%20b")
    again = await (await shop.http(client, SOURCE)).get(URL, {"q": "a b"})
    offline = await (await shop.http(client, SOURCE, offline=True)).get(URL, {"q": "a b"})
    assert live == again == offline
    assert len(web.asked) == 1


async def test_what_is_posted_tells_requests_apart(net: Net, shop: Workshop) -> None:
    web = await net.serve(serves(b"x"))
    http = await shop.http(net.client(), SOURCE)
    await http.post(URL, b'{"a":1}')
    await http.post(URL, b'{"a":2}')
    again = await shop.http(net.client(), SOURCE)
    await again.post(URL, b'{"a":2}')
    assert [asked.body for asked in web.asked] == [b'{"a":1}', b'{"a":2}']
    assert web.asked[0].header("content-type") == "application/json"


# URLs


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,30}(/.{0,20})?", fullmatch=True))
def test_no_text_makes_more_than_a_bad_url(text: str) -> None:
    try:
        found = locate(text)
    except BadUrl:
        return
    assert found.scheme in {"http", "https"}
    assert found.host
    assert found.host.isascii()
    assert 0 < found.port < 65_536
    assert found.target.startswith("/")
    assert found.target.isascii()
    assert not set(found.target + found.host) & set(" \r\n\t\0")


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://B\xfccher.example./", "xn--bcher-kva.example", "/"),
        ("http://\u4f8b\u3048.example/\u8def?\u67e5=\u8be2", "xn--r8jz45g.example", "/%E8%B7%AF?%E6%9F%A5=%E8%AF%A2"),
        ("http://user:pass@www.example.org:80/", "www.example.org", "/"),
        ("http://[2001:DB8::1]:8080/x", "2001:db8::1", "/x"),
        ("http://www.example.org?q", "www.example.org", "/?q"),
        ("http://www.example.org/a/../b/%7E/;x", "www.example.org", "/a/../b/%7E/;x"),
        ("http://192.0.2.1/", "192.0.2.1", "/"),
    ],
)
def test_a_url_is_taken_apart_as_it_is_meant(url: str, host: str, target: str) -> None:
    found = locate(url)
    assert (found.host, found.target) == (host, target)


@pytest.mark.parametrize(
    "url", ["http://www.example.org/\ud800", "http://\ud800/", "http://./", "http://:80/", "https://"]
)
def test_what_is_no_url_is_a_bad_one(url: str) -> None:
    with pytest.raises(BadUrl):
        locate(url)
