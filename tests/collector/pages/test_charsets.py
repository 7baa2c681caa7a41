import codecs
import encodings
import time

import pytest

from services.collector.context import HttpAnswer
from services.collector.pages.charsets import _CODECS, codec_of
from services.collector.pages.html import read_html


def answer(charset: str, body: bytes) -> HttpAnswer:
    headers = (("Content-Type", f"text/plain; charset={charset}"),)
    return HttpAnswer(at=1, url="https://www.example.org/", status=200, headers=headers, body=body)


@pytest.mark.parametrize(
    ("label", "codec"),
    [(" ISO-8859-1 ", "cp1252"), ("Shift_JIS", "cp932"), ("utf8", "utf-8"), ("us-ascii", "utf-8"), ("", "utf-8")],
)
def test_a_charset_is_known_by_the_labels_of_the_web(label: str, codec: str) -> None:
    assert codec_of(label) == codec


@pytest.mark.parametrize(
    "name", ["punycode", "idna", "rot13", "unicode_escape", "utf_7", "zlib", "undefined", "x" * 99]
)
def test_what_only_python_knows_is_no_charset(name: str) -> None:
    assert codec_of(name) == "utf-8"
    assert answer(name, "Łódź \\u0041".encode()).text() == "Łódź \\u0041"
    body = f"<meta charset='{name[:40]}'><title>Łódź</title>".encode()
    assert read_html(body, "https://www.example.org/").title == "Łódź"


def test_names_that_nobody_knows_are_not_kept() -> None:
    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(100):
        answer(f"x-unheard-of-{number}", b"a").text()
        read_html(b"<meta charset=x-unheard-of-%d>" % number, "https://www.example.org/")
    assert len(encodings._cache) == before  # type: ignore[attr-defined]


@pytest.mark.parametrize("codec", sorted(set(_CODECS.values())))
@pytest.mark.parametrize("unit", [b"a", b"\xff", b"\x81\x30", b"\x1b$B", b"-a"], ids=repr)
def test_every_charset_is_decoded_in_linear_time(codec: str, unit: bytes) -> None:
    body = unit * (400_000 // len(unit))
    started = time.process_time()
    codecs.decode(body, codec, "replace")
    assert time.process_time() - started < 1.0  # punycode takes two minutes
