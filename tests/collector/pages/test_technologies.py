import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.pages import fingerprints
from services.collector.pages.technologies import technologies


def told(**given_: object) -> list[tuple[str, str, str]]:
    return [(found.product, found.version, found.place) for found in technologies(**given_)]


@pytest.mark.parametrize(
    ("header", "products"),
    [
        (("Server", "nginx/1.25.3"), [("nginx", "1.25.3", "header server")]),
        (
            ("Server", "Apache/2.4.57 (Debian) OpenSSL/3.0.11 mod_wsgi/4.9.4"),
            [
                ("Apache HTTP Server", "2.4.57", "header server"),
                ("OpenSSL", "3.0.11", "header server"),
                ("mod_wsgi", "4.9.4", "header server"),
            ],
        ),
        (("Server", "cloudflare"), [("Cloudflare", "", "header server")]),
        (("Server", "our own thing"), []),
        (
            ("X-Powered-By", "PHP/8.2.1, ASP.NET"),
            [("PHP", "8.2.1", "header x-powered-by"), ("ASP.NET", "", "header x-powered-by")],
        ),
        (("X-Generator", "Drupal 10 (https://www.drupal.org)"), [("Drupal", "10", "header x-generator")]),
        (("X-Jenkins", "2.440.1"), [("Jenkins", "2.440.1", "header x-jenkins")]),
        (("Via", "1.1 varnish (Varnish/7.1)"), [("Varnish", "", "header via")]),
    ],
)
def test_headers_tell_products(header: tuple[str, str], products: list[tuple[str, str, str]]) -> None:
    assert told(headers=[header]) == products


@pytest.mark.parametrize(
    ("asset", "product", "version"),
    [
        ("https://www.example.org/assets/jquery-3.6.4.min.js", "jQuery", "3.6.4"),
        ("https://www.example.org/wp-includes/js/jquery/jquery.min.js?ver=3.7.1", "jQuery", "3.7.1"),
        ("https://cdn.jsdelivr.net/npm/bootstrap@5.3.2/dist/css/bootstrap.min.css", "Bootstrap", "5.3.2"),
        ("https://www.example.org/_next/static/chunks/main-1a2b.js", "Next.js", ""),
        ("https://unpkg.com/vue@3.4.21/dist/vue.global.js", "Vue.js", "3.4.21"),
        (
            "https://www.example.org/wp-content/plugins/elementor/assets/js/f.js?ver=3.18.3",
            "WordPress plugin elementor",
            "3.18.3",
        ),
        ("https://www.example.org/wp-content/themes/tideline/style.css", "WordPress theme tideline", ""),
        ("https://www.example.org/owa/auth/15.2.1118/themes/x.ico", "Microsoft Exchange", "15.2.1118"),
    ],
)
def test_addresses_of_assets_tell_products(asset: str, product: str, version: str) -> None:
    assert (product, version, "asset") in told(assets=[asset])


def test_a_common_word_in_an_address_is_no_product() -> None:
    assert told(assets=["https://www.example.org/revue.js", "https://www.example.org/required.css"]) == []


def test_cookies_titles_generators_and_markup_tell_products() -> None:
    found = told(
        cookies=["PHPSESSID", "own"],
        title="Sign in · GitLab",
        generator="WordPress 6.5.3",
        body=b'<app-root ng-version="17.1.0">',
    )
    assert found == [
        ("PHP", "", "cookie"),
        ("WordPress", "6.5.3", "generator"),
        ("GitLab", "", "title"),
        ("Angular", "17.1.0", "markup"),
    ]


def test_the_version_of_wordpress_is_not_that_of_its_themes() -> None:
    content = "https://www.example.org/wp-content"
    assets = [f"{content}/themes/tideline/style.css?ver=6.5.3", f"{content}/plugins/forms/f.js?ver=5.8"]
    found = told(generator="WordPress 6.5.3", assets=assets)
    assert ("WordPress theme tideline", "", "asset") in found
    assert ("WordPress plugin forms", "5.8", "asset") in found


def test_the_mark_that_tells_a_version_wins() -> None:
    assert told(headers=[("X-Redirect-By", "WordPress")], generator="WordPress 6.5.3") == [
        ("WordPress", "6.5.3", "generator")
    ]


def test_the_tables_are_in_lower_case_as_they_are_compared() -> None:
    tables = (fingerprints.COOKIES, fingerprints.ASSETS, fingerprints.MARKUP, fingerprints.TITLES)
    marks = [mark for table in (*tables, *fingerprints.HEADERS.values()) for mark in table]
    assert [mark.text for mark in marks if mark.text != mark.text.lower()] == []
    assert [name for name in (*fingerprints.PRODUCTS, *fingerprints.HEADERS) if name != name.lower()] == []


@pytest.mark.parametrize("unit", ["jquery-", "jquery.", "/wp-content/plugins/a/", "vue@1.", "a/1 ", "angular"])
def test_monotonous_addresses_take_linear_time(unit: str) -> None:
    started = time.process_time()
    technologies(assets=[unit * 100_000], headers=[("Server", unit * 10_000)], generator=unit * 1000)
    assert time.process_time() - started < 2.0


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_text_tells_products_or_none(one: str, other: str) -> None:
    technologies(
        headers=[("Server", one), ("Via", other)], cookies=[one], generator=other, title=one, assets=[one, other]
    )
