"""What reading a page costs: ``python -m tests.bench.pages_parse``.

Prints microseconds of processor time for pages of 20 kB of three kinds, from the answer to its claims, the best and
the median of many runs; beside them the bare parse by Lexbor, and where the rest goes. The bar of the project is 300
pages a second fetched, parsed and kept on one core, of which reading may take 1 ms a page.
"""

import random
import statistics
import time
from collections.abc import Callable

from selectolax.lexbor import LexborHTMLParser

from services.collector.context import HttpAnswer
from services.collector.pages import contacts, html, names, page, scripts, technologies, trackers
from services.collector.pages.claims import page_claims
from services.contracts import entities

SIZE = 20_000
RUNS, ROUNDS = 40, 25
ROOT = entities.url("https://www.example.org/")
DOMAIN = "example.org"
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Server", "nginx/1.24.0"),
    ("X-Powered-By", "PHP/8.2.18"),
    ("Set-Cookie", "PHPSESSID=1; Path=/; HttpOnly"),
    ("Content-Security-Policy", "default-src 'self'; connect-src https://api.example.org https://*.example.net"),
    ("Strict-Transport-Security", "max-age=31536000"),
)
HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Example Ltd: home</title>
<meta name="generator" content="WordPress 6.5.3"><meta name="viewport" content="width=device-width">
<link rel="icon" href="/favicon.ico"><link rel="stylesheet" href="/wp-content/themes/tideline/style.css?ver=6.5.3">
<script src="/wp-includes/js/jquery/jquery.min.js?ver=3.7.1"></script><script src="/assets/app.js" defer></script>
<script async src="https://www.googletagmanager.com/gtag/js?id=G-ABCD123456"></script>
<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}gtag('config','G-ABCD123456');
var api="https:\\/\\/api.example.org\\/v1";</script></head><body class="home page">"""
FOOT = """<form action="/login" method="post"><input name="u"><input type="password" name="p"></form><footer>
<a href="mailto:info@example.org">info@example.org</a> <a href="tel:+442079460123">+44 20 7946 0123</a>
<a href="https://www.linkedin.com/company/example">in</a> <a href="https://x.com/example">x</a></footer></body></html>"""
WORDS = (
    "cargo",
    "tide",
    "berth",
    "quay",
    "harbour",
    "vessel",
    "crane",
    "pilot",
    "customs",
    "freight",
    "anchor",
    "hull",
)


def article(source: random.Random, number: int) -> str:
    text = " ".join(source.choices(WORDS, k=60))
    return f'<article class="card"><h2>{text[:40]}</h2><p>{text} <a href="/news/{number}">more</a></p></article>'


def portal(source: random.Random, number: int) -> str:
    return (
        f'<li class="item item-{number}"><a href="https://s{number % 40}.example.org/p/{number}?utm=1" title="x">'
        f'{source.choice(WORDS)}</a> <img src="/img/{number}.jpg" alt="" width="10" height="10"></li>'
    )


def application(source: random.Random, number: int) -> str:
    return (
        f'<script>(function(e,t){{var n=e["{source.choice(WORDS)}"]={{id:{number},url:"/api/{number}",on:!0}};'
        f"n.f=function(r){{return r.map(function(i){{return i+{number}}})}};t.push(n)}})(window,q);</script>"
    )


def document(block: Callable[[random.Random, int], str]) -> bytes:
    source = random.Random(1)
    body, number = HEAD, 0
    while len(body) + len(FOOT) < SIZE:
        body += block(source, number)
        number += 1
    return (body + FOOT).encode()


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Best and median microseconds of processor time of one run."""
    html.read_html.cache_clear()
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(RUNS):
            work()
        taken.append((time.process_time() - started) / RUNS * 1e6)
    return min(taken), statistics.median(taken)


def whole(answer: HttpAnswer) -> None:
    html.read_html.cache_clear()
    for _ in page_claims(answer, page.read_page(answer, DOMAIN), ROOT):
        pass


def parts_of(answer: HttpAnswer) -> dict[str, Callable[[], object]]:
    """The whole, and what it is made of."""
    body = answer.body
    found = page.read_page(answer, DOMAIN)
    code = "\n".join(found.document.scripts).encode()
    loaded = [link.url for link in found.document.links if link.tag != "a"]
    return {
        "answer to claims": lambda: whole(answer),
        "  claims": lambda: list(page_claims(answer, found, ROOT)),
        "  Lexbor alone": lambda: LexborHTMLParser(body),
        "  document": lambda: html.read_html.__wrapped__(body, ROOT.value),
        "  names": lambda: names.names_below(body, DOMAIN),
        "  script": lambda: scripts.read_script(code, ""),
        "  mailboxes": lambda: contacts.email_addresses(body),
        "  phones": lambda: contacts.phone_numbers(body),
        "  chains": lambda: contacts.crypto_addresses(body),
        "  trackers": lambda: trackers.trackers(code + "\n".join(loaded).encode()),
        "  technologies": lambda: technologies.technologies(headers=HEADERS, assets=loaded, body=body),
    }


def main() -> None:
    for block in (article, portal, application):
        body = document(block)
        answer = HttpAnswer(at=0, url=ROOT.value, status=200, headers=HEADERS, body=body)
        found = page.read_page(answer, DOMAIN)
        claims = sum(1 for _ in page_claims(answer, found, ROOT))
        print(f"{block.__name__}: {len(body)} bytes, {len(found.document.links)} links, {claims} claims")
        for name, work in parts_of(answer).items():
            best, median = measure(work)
            print(f"{name:20} {best:8.0f} µs best {median:8.0f} µs median")


if __name__ == "__main__":
    main()
