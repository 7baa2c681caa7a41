import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.pages.trackers import TRACKERS, trackers

SENTRY = "0123456789abcdef0123456789abcdef@o42.ingest.us.sentry.io/77"


@pytest.mark.parametrize(
    ("text", "kind", "id"),
    [
        (b"gtag('config', 'G-7HLYRD2Q4K');", "google_analytics", "G-7HLYRD2Q4K"),
        (b"https://www.googletagmanager.com/gtag/js?id=G-7HLYRD2Q4K", "google_analytics", "G-7HLYRD2Q4K"),
        (b"ga('create','UA-48201937-2','auto')", "google_analytics", "UA-48201937-2"),
        (b"https://www.googletagmanager.com/ns.html?id=GTM-5KHLYD8", "google_tag_manager", "GTM-5KHLYD8"),
        (b"?client=ca-pub-1234567890123456", "google_adsense", "PUB-1234567890123456"),
        (b"fbq('init', '104857620194833');", "facebook_pixel", "104857620194833"),
        (b"https://www.facebook.com/tr?ev=PageView&id=104857620194833&noscript=1", "facebook_pixel", "104857620194833"),
        (b"h._hjSettings={hjid:3184226,hjsv:6};", "hotjar", "3184226"),
        (b'p(["setTrackerUrl","https://stats.example.org/m"]);p(["setSiteId","7"])', "matomo", "stats.example.org#7"),
        (b'var u="//stats.example.org/";_paq.push([\'setSiteId\', \'7\']);', "matomo", "stats.example.org#7"),
        (b'_linkedin_partner_id = "123456";', "linkedin_insight", "123456"),
        (b"https://js.hs-scripts.com/4567890.js", "hubspot", "4567890"),
        (b"ym(12345678, 'init', {}) mc.yandex.ru", "yandex_metrica", "12345678"),
        (b'data-website-id="94db1cb1-74f4-4a40-ad6c-962362670409"', "umami", "94db1cb1-74f4-4a40-ad6c-962362670409"),
        (b"https://" + SENTRY.encode(), "sentry", SENTRY),
    ],
)  # fmt: skip
def test_an_account_is_read_from_what_the_vendor_says_to_paste(text: bytes, kind: str, id: str) -> None:
    assert (kind, id) in [entity.key for entity in trackers(text)]


@pytest.mark.parametrize(
    "text", [b"IMG-G-", b"xG-ABCDEF1234", b"class=UA-mobile", b"fbq('track', 'PageView')", b"hjid"]
)
def test_what_only_looks_like_an_account_is_none(text: bytes) -> None:
    assert trackers(text) == []


def test_every_pattern_has_one_group_and_begins_with_a_literal() -> None:
    for tracker in TRACKERS:
        assert re.compile(tracker.pattern).groups == 1, tracker
        assert re.match(rb"\(?[A-Za-z_\\]", tracker.pattern), tracker
        assert tracker.gate.replace(b'"', b"").lower() == tracker.gate.replace(b'"', b"").lower().strip()


@pytest.mark.parametrize(
    "unit", [b"fbq  (", b"G-A", b"setSiteId','1'", b'"//a', b"facebook.com/tr?", b"data-cf-beacon="]
)
def test_monotonous_text_takes_linear_time(unit: bytes) -> None:
    started = time.process_time()
    trackers(unit * (500_000 // len(unit)))
    assert time.process_time() - started < 2.0


@given(st.binary(max_size=200))
def test_any_bytes_carry_trackers_or_none(text: bytes) -> None:
    trackers(b"setSiteId','1" + text + b"G-ABCDEFGH12")
