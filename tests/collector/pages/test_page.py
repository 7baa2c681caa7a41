from services.collector.context import HttpAnswer
from services.collector.pages.claims import page_claims
from services.collector.pages.page import is_html, read_page
from services.contracts import entities
from services.contracts.claims import Entity, Relation

ROOT = entities.url("https://www.example.org/")
HTML = ("Content-Type", "text/html; charset=utf-8")


def answer(body: bytes, *headers: tuple[str, str]) -> HttpAnswer:
    return HttpAnswer(at=0, url=ROOT.value, status=200, headers=headers, body=body)


def test_every_host_is_known_by_the_place_that_says_most() -> None:
    page = read_page(
        answer(
            b'<a href="https://a.example.org/"><script src="https://a.example.org/x.js"></script>'
            b'<script>fetch("https://b.example.org/")</script> c.example.org https://d.example.net/ ',
            HTML,
            ("Content-Security-Policy", "img-src https://p.example.net"),
            ("Access-Control-Allow-Origin", "https://h.example.org"),
        ),
        "example.org",
    )
    assert page.names == {
        "a.example.org": "anchor",
        "b.example.org": "script",
        "c.example.org": "text",
        "h.example.org": "header",
    }
    assert page.hosts == {"p.example.net": "policy", "a.example.org": "anchor", "b.example.org": "script"}


def test_names_of_others_are_links_and_own_names_are_things() -> None:
    page = read_page(answer(b'<a href="https://a.example.org/"><a href="https://b.example.net/">', HTML), "example.org")
    claims = list(page_claims(answer(b"", HTML), page, ROOT))
    assert [claim.value for claim in claims if isinstance(claim, Entity)] == ["a.example.org"]
    assert [claim.target.value for claim in claims if isinstance(claim, Relation)] == ["a.example.org", "b.example.net"]


def test_what_has_no_normal_form_is_left_out() -> None:
    body = b'<a href="https://-x-.example.org/"><a href="https://a..example.org/"><a href="http://.../">_x.example.org'
    page = read_page(answer(body, HTML), "example.org")
    assert [claim for claim in page_claims(answer(b"", HTML), page, ROOT) if isinstance(claim, Entity | Relation)] == []


def test_a_picture_has_no_text() -> None:
    page = read_page(answer(b"\x89PNG a@example.org www.example.org", ("Content-Type", "image/png")), "example.org")
    assert (page.names, page.mentioned) == ({}, [])


def test_json_has_names_and_mailboxes_but_no_forms() -> None:
    body = b'{"api": "https://api.example.org/v1", "owner": "ops@example.org"}'
    page = read_page(answer(body, ("Content-Type", "application/problem+json")), "example.org")
    assert page.names == {"api.example.org": "text", "example.org": "text"}
    assert [entity.value for entity in page.mentioned] == ["ops@example.org"]


def test_a_document_is_told_by_its_type_or_else_by_how_it_begins() -> None:
    assert is_html(answer(b"anything", HTML))
    assert is_html(answer(b" <!doctype html>"))
    assert not is_html(answer(b"<?xml version='1.0'?><urlset/>"))
    assert not is_html(answer(b"<html>", ("Content-Type", "text/plain")))
