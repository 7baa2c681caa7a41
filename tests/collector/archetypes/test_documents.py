import tracemalloc

import pytest
from msgspec import Struct

from services.collector.archetypes.documents import lines, refusal, refuse_pages, rows
from services.collector.context import Blocked, HttpAnswer, ParseError, RateLimited, Unauthorised, Unreachable


def answer(body: bytes) -> HttpAnswer:
    return HttpAnswer(at=0, url="https://source.example/", status=200, headers=(), body=body)


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"<html><title>Just a moment...</title>", Blocked),
        (b"<!doctype html><p>Please solve this CAPTCHA", Blocked),
        (b"<html><h1>429 Too Many Requests</h1>", RateLimited),
        (b"Your daily quota is used up", RateLimited),
        (b"Invalid API key", Unauthorised),
        (b"<html><h1>502 Bad Gateway</h1>", Unreachable),
    ],
)
def test_a_page_in_place_of_an_answer_is_named_for_what_it_is(body: bytes, failure: type[Exception]) -> None:
    assert type(refusal(answer(body))) is failure


def test_markup_is_refused_and_data_is_not() -> None:
    refuse_pages(answer(b"[]"))
    refuse_pages(answer(b""))
    with pytest.raises(Unreachable):
        refuse_pages(answer(b"\xef\xbb\xbf \n<html>"))


class Row(Struct):
    name: str


def test_one_bad_row_is_alone_in_being_lost() -> None:
    assert rows(answer(b'[{"name":"a"},{"name":7},null,{"name":"b"}]'), Row) == [Row("a"), Row("b")]


def test_a_document_that_is_no_array_is_a_parse_error() -> None:
    for body in (b'{"name":"a"}', b"[", b"", b"\xff"):
        with pytest.raises(ParseError):
            rows(answer(body), Row)


def test_lines_are_read_one_by_one() -> None:
    assert lines(answer(b'{"name":"a"}\nnonsense\n{"name":7}\n{"name":"b"}'), Row) == [Row("a"), Row("b")]
    assert lines(answer(b"\n"), Row) == []
    with pytest.raises(ParseError):
        lines(answer(b"nonsense"), Row)


class Optional(Struct):
    name: str = ""


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'"",', b"1,", b'{"a":', b"\n", b"{}\n"], ids=repr)
def test_a_document_of_nothing_but_values_is_not_decoded(unit: bytes) -> None:
    body = answer(b"[" + unit * (12_000_000 // len(unit)) + b"0]")
    tracemalloc.start()
    try:
        for read in (body.json, lambda: rows(body, Optional), lambda: lines(body, Optional)):
            with pytest.raises(ParseError):
                read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # decoded, it would take up to twenty times its size


def test_a_large_document_of_values_with_something_in_them_is_decoded() -> None:
    body = b"[" + b",".join(b'{"name":"%08d","more":[1,2]}' % number for number in range(100_000)) + b"]"
    assert len(rows(answer(body), Row)) == 100_000
