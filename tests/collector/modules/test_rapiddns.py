import time

from services.collector.context import HttpAnswer
from services.collector.modules.rapiddns import parse
from services.contracts import entities
from services.contracts.claims import Entity


def test_a_page_of_nested_tags_is_read_in_pieces() -> None:
    row = b"<tr><td>www.example.org<td>192.0.2.1<td>A<td>2026-01-01</tr>"
    body = b'<table id="table">' + row + b"<tr>" + b"<div>" * 100_000
    answer = HttpAnswer(at=1, url="https://rapiddns.io/", status=200, headers=(), body=body)
    started = time.process_time()
    claims = list(parse(answer, entities.domain("example.org")))
    assert time.process_time() - started < 5.0  # minutes as one tree
    assert "www.example.org" in {claim.value for claim in claims if isinstance(claim, Entity)}
