"""What reading a page costs: microseconds of processor time for pages of 20 kB of three kinds, from the answer to its
claims, beside the bare parse by Lexbor. ``python -m tests.bench.pages_parse`` prints where the rest goes.
"""

import random
import time
from collections.abc import Callable

from selectolax.lexbor import LexborHTMLParser

from services.collector.context import HttpAnswer
from services.collector.pages import contacts, html, names, page, scripts, technologies, trackers
from services.collector.pages.claims import page_claims
from services.contracts import entities
from tests.bench.declaration import Bench, Figure, Options, middle, span

SIZE = 20_000
RUNS, ROUNDS, BAR = 40, 25, 1_000
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


def measure(work: Callable[[], object], rounds: int) -> list[float]:
    """Microseconds of processor time of one run, in each round."""
    html.read_html.cache_clear()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(RUNS):
            work()
        taken.append((time.process_time() - started) / RUNS * 1e6)
    return taken


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


def answer_of(body: bytes) -> HttpAnswer:
    return HttpAnswer(at=0, url=ROOT.value, status=200, headers=HEADERS, body=body)


def claims_in(answer: HttpAnswer) -> int:
    return sum(1 for _ in page_claims(answer, page.read_page(answer, DOMAIN), ROOT))


def run(options: Options) -> list[Figure]:
    figures = []
    for block in (article, portal, application):
        answer = answer_of(document(block))
        parts = parts_of(answer)
        taken = measure(parts["answer to claims"], 5 * options.runs)
        limit = measure(parts["  Lexbor alone"], 5 * options.runs)
        figures.append(
            Figure(
                what=f"cpu of one page of {len(answer.body) // 1000} kB, {block.__name__}",
                value=middle(taken),
                unit="µs",
                bar=BAR,
                at_most=True,
                bare=middle(limit),
                spread=span(taken),
                beside=f"{claims_in(answer)} claims",
            )
        )
    return figures


def main() -> None:
    for block in (article, portal, application):
        answer = answer_of(document(block))
        print(f"{block.__name__}: {len(answer.body)} bytes, {claims_in(answer)} claims")
        for name, work in parts_of(answer).items():
            taken = measure(work, ROUNDS)
            print(f"{name:20} {min(taken):8.0f} µs best {middle(taken):8.0f} µs median")


BENCH = Bench("pages_parse", "Part of 300 pages a second on one core: reading may take 1 ms a page.", run)

if __name__ == "__main__":
    main()
