"""Whatever a source sends, `parse` gives claims or `ParseError`, soon."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from services.collector.archetypes import openpgp_keys, spf, urls, whois
from services.collector.context import Answer, DnsAnswer, HttpAnswer, ParseError, TcpAnswer, TextAnswer, TlsAnswer
from services.collector.modules import mail_policy
from services.collector.pages import contacts, headers, names, robots, scripts, sitemaps, technologies, trackers
from services.collector.resolve.answer import Answer as Resolution
from services.contracts import targets
from services.contracts.claims import Malformed
from services.contracts.subjects import Subject
from tests.collector.recorded import CASES, load_module, read_case, readable_modules, replay
from tests.collector.test_cases import types_of
from tests.examples import examples

MANIFESTS = {file.manifest.id: file.manifest for file in readable_modules()}
MAX_CLAIMS = 100_000  # more from one subject fail a work item
SECONDS = 2.0  # of processor time, for answers that an honest parser reads in milliseconds

each_module = pytest.mark.parametrize("id", sorted(MANIFESTS))

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        ["*.example.org", "a@example.org", "192.0.2.1/99", "2026-13-45T00:00:00Z", "9" * 400, "x." * 200]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@cache
def recorded_answers(id: str) -> list[tuple[Answer, Subject]]:
    answers: list[tuple[Answer, Subject]] = []
    for path in sorted((CASES / id).glob("*.json")):
        seen = read_case(path).seen
        answers += [(answer, seen) for answer in asyncio.run(replay(path)).answers]
    return answers


@st.composite
def json_with_one_value_changed(draw: st.DrawFn, document: Any) -> Any:
    if isinstance(document, dict) and document and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(document)))
        return {**document, name: draw(json_with_one_value_changed(document[name]))}
    if isinstance(document, list) and document and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(document) - 1))
        return [*document[:place], draw(json_with_one_value_changed(document[place])), *document[place + 1 :]]
    return draw(json_values)


@st.composite
def bodies(draw: st.DrawFn, body: bytes) -> bytes:
    """Noise, any JSON, or the body cut, overwritten somewhere, or with one JSON value replaced."""
    kind = draw(st.sampled_from(["noise", "json", "cut", "overwritten", "changed", "changed", "changed"]))
    if kind == "noise":
        return draw(st.binary(max_size=300))
    if kind == "json":
        return json.dumps(draw(json_values)).encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(body)))
    if kind == "cut":
        return body[:place]
    if kind == "changed":
        document = parsed(body)
        if document is not None:
            return json.dumps(draw(json_with_one_value_changed(document))).encode("utf-8", "surrogatepass")
    return body[:place] + draw(st.binary(max_size=20)) + body[place + draw(st.integers(0, 40)) :]


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


places = st.integers(0, 1 << 16)  # of one among however many there are
other_headers = st.lists(st.tuples(places, st.text(max_size=30)), max_size=6)
other_names = st.lists(
    st.tuples(
        places,
        st.sampled_from(["owner", "data"]),
        st.text(max_size=60) | st.sampled_from(["*.example.org", ".", "", "a." * 130, '"\\000" "x"']),
    ),
    max_size=8,
)


def with_other_headers(
    headers: tuple[tuple[str, str], ...], others: list[tuple[int, str]]
) -> tuple[tuple[str, str], ...]:
    changed = list(headers)
    for place, value in others if changed else ():
        changed[place % len(changed)] = changed[place % len(changed)][0], value
    return tuple(changed)


def with_other_names(resolutions: tuple[Resolution, ...], others: list[tuple[int, str, str]]) -> tuple[Resolution, ...]:
    records = {(i, j): record for i, each in enumerate(resolutions) for j, record in enumerate(each.records)}
    for place, field, name in others if records else ():
        at = list(records)[place % len(records)]
        records[at] = msgspec.structs.replace(records[at], **{field: name})
    return tuple(
        msgspec.structs.replace(each, records=tuple(records[i, j] for j in range(len(each.records))))
        for i, each in enumerate(resolutions)
    )


@st.composite
def mutations(draw: st.DrawFn, answer: Answer) -> Answer:
    match answer:
        case HttpAnswer():
            headers = with_other_headers(answer.headers, draw(other_headers))
            return msgspec.structs.replace(answer, body=draw(bodies(answer.body)), headers=headers)
        case TextAnswer():
            return msgspec.structs.replace(answer, body=draw(bodies(answer.body)))
        case DnsAnswer():
            resolutions = with_other_names(answer.resolutions, draw(other_names))
            return msgspec.structs.replace(answer, resolutions=resolutions)
        case TlsAnswer():
            return msgspec.structs.replace(answer, chain=tuple(draw(bodies(der)) for der in answer.chain))
        case TcpAnswer():
            banners = {port: draw(bodies(said)) for port, said in answer.banners.items()}
            return msgspec.structs.replace(answer, banners=banners)
    if type(answer) is Answer:  # of a module that asks nobody
        return answer
    raise AssertionError(f"no mutation of {type(answer).__name__}")


def read(id: str, answer: Answer, seen: Subject) -> None:
    """Parse as the runner does; anything but `ParseError`, a type outside `produces`, or dawdling is a fault."""
    started = time.process_time()
    try:
        claims = list(islice(load_module(id).parse(answer, seen), MAX_CLAIMS))
    except ParseError:
        claims = []
    assert time.process_time() - started < SECONDS
    assert len(claims) < MAX_CLAIMS
    undeclared = {name for claim in claims for name in types_of(claim, seen)} - set(MANIFESTS[id].produces)
    assert undeclared == set()
    msgspec.json.encode(claims)


@each_module
@examples(120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_mutated_answer_raises_only_parse_errors(id: str, data: st.DataObject) -> None:
    answer, seen = data.draw(st.sampled_from(recorded_answers(id)))
    read(id, data.draw(mutations(answer)), seen)


@each_module
@pytest.mark.parametrize(
    "unit",
    [b"[", b'{"a":', b"<a", b"a.", b"\n", b" ", b"9", b"a@a", b"%2", b"\x00", b"//", b"<!--", b'"', b"a: b\n", b"\xff"],
    ids=repr,
)
def test_a_monotonous_answer_takes_no_time(id: str, unit: bytes) -> None:
    body = unit * (300_000 // len(unit))
    for answer, seen in recorded_answers(id):
        if isinstance(answer, HttpAnswer | TextAnswer):
            read(id, msgspec.structs.replace(answer, body=body), seen)
            break


def read_technologies(text: str) -> None:
    technologies.technologies(headers=[("server", text)], generator=text, title=text, assets=[text], cookies=[text])


def read_policies(text: str) -> None:
    headers.policy_hosts(text)
    headers.cookies([("set-cookie", text)])


def read_whois(text: str) -> None:
    found = whois.fields(text)
    whois.registration_of(found)
    assert not (whois.is_nothing(text) and whois.is_limit(text) and whois.is_denied(text))


def read_armor(body: bytes) -> None:
    with suppress(openpgp_keys.Malformed):
        openpgp_keys.read_key(body)


def read_targets(text: str) -> None:
    for _ in range(20):
        with suppress(Malformed):
            targets.recognise(text[:2048])


def read_mail_policies(text: str) -> None:
    for _ in range(5):
        mail_policy.tags_of(text[:4000] + text[-2:])


#: What reads text that others wrote, in answers that recorded ones do not lead to.
OF_BYTES: dict[str, Callable[[bytes], object]] = {
    "armor": read_armor,
    "crypto addresses": contacts.crypto_addresses,
    "e-mail addresses": contacts.email_addresses,
    "hosts in URLs": names.hosts_in_urls,
    "names": lambda body: names.names_below(body, "example.org"),
    "phone numbers": contacts.phone_numbers,
    "script": scripts.read_script,
    "sitemap": sitemaps.read_sitemap,
    "technologies in markup": lambda body: technologies.technologies(body=body),
    "trackers": trackers.trackers,
}
OF_TEXT: dict[str, Callable[[str], object]] = {
    "host in a URL": urls.host_in,
    "mail policies": read_mail_policies,
    "policies": read_policies,
    "robots": robots.read_robots,
    "spf": spf.read_terms,
    "targets": read_targets,
    "technologies": read_technologies,
    "telling URL": urls.is_telling,
    "whois": read_whois,
}
READERS = {**OF_BYTES, **{name: lambda body, read=read: read(body.decode("latin-1")) for name, read in OF_TEXT.items()}}

#: What a run is of: blanks, single characters that patterns repeat, and openings of what is never closed.
RUNS = (
    *(
        b" ",
        b"\n",
        b"\t",
        b"\r\n",
        b"a",
        b"1",
        b"-",
        b".",
        b"a.",
        b":",
        b"=",
        b"; ",
        b",",
        b"@",
        b"a@a.",
        b"<",
        b"/",
        b"%25",
    ),
    *(
        b"<loc>",
        b"<loc> ",
        b"<![CDATA[",
        b"://a:",
        b":%2f%2f",
        b":\\/\\/",
        b".example.org",
        b"\\u002f",
        b"&#64;",
        b"+1 2",
    ),
    *(
        b"0x",
        b"bc1",
        b"fbq ( ",
        b"facebook.com/tr?",
        b"setSiteId',",
        b"hjid= ",
        b"/wp-content/plugins/aa/",
        b"[",
        b"v=x ",
    ),
    *(
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----",
        b"status: ",
        b"v=spf1 ",
        b"include:",
        b"https:\\/",
        b"'",
        b"#",
        b"*",
        b"\x85",
    ),
)
#: What stands before a run, so that a pattern has begun, and behind it, so that it cannot end.
AROUND = ((b"", b""), (b"aaa:x", b"x"), (b"<loc>", b"<"), (b"x", b"x"), (b"v=x", b"x\n"), (b"http://x", b"\n@"))
SIZE = 64_000
#: Seconds: a fifth of it suffices where each byte is read a few times, none where each is read again for each other.
MOST = 0.1


def seconds(call: Callable[[], object]) -> float:
    """How much processor time a call takes; again when it seems much, which may have been another's work."""
    taken = []
    while len(taken) < 3 and (not taken or min(taken) > MOST):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize("reader", READERS)
def test_a_run_of_anything_is_read_in_linear_time(reader: str) -> None:
    read = READERS[reader]
    for unit in RUNS:
        for before, after in AROUND:
            body = before + unit * (SIZE // len(unit)) + after
            assert seconds(lambda body=body: read(body)) <= MOST, (unit, before)
