import pytest

from services.collector.pages.accounts import accounts
from services.collector.pages.cloud import cloud_resources
from services.collector.pages.html import Link, origin_of


def link(url: str, rel: str = "") -> Link:
    return Link("a", url, origin_of(url), rel)


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://twitter.com/HalyardFreight", ("twitter", "halyardfreight")),
        ("https://x.com/halyardfreight?lang=en", ("twitter", "halyardfreight")),
        ("https://www.linkedin.com/company/halyard-freight/", ("linkedin", "halyard-freight")),
        ("https://uk.linkedin.com/in/jane%20doe/", None),
        ("https://de-de.facebook.com/halyard", None),
        ("https://www.facebook.com/halyardfreight", ("facebook", "halyardfreight")),
        ("https://m.facebook.com/pg/halyardfreight", ("facebook", "halyardfreight")),
        ("https://www.youtube.com/@halyardfreight", ("youtube", "halyardfreight")),
        ("https://github.com/halyard-freight/tidewatch", ("github", "halyard-freight")),
        ("https://t.me/s/halyard", ("telegram", "halyard")),
        ("https://bsky.app/profile/halyard.example.org", ("bluesky", "halyard.example.org")),
        ("https://hub.docker.com/r/halyard/app", ("docker_hub", "halyard")),
    ],
)
def test_a_link_to_a_platform_is_an_account(url: str, account: tuple[str, str] | None) -> None:
    assert [entity.key for entity in accounts([link(url)])] == ([account] if account else [])


@pytest.mark.parametrize(
    "url",
    [
        "https://twitter.com/intent/tweet?text=x",
        "https://x.com/share",
        "https://www.facebook.com/sharer/sharer.php?u=x",
        "https://www.facebook.com/login.php",
        "https://www.youtube.com/watch?v=x",
        "https://github.com/",
        "https://github.com",
        "https://twitter.com.evil.example/halyard",
        "https://www.example.org/@halyard",
    ],
)
def test_a_platforms_own_page_is_no_account(url: str) -> None:
    assert accounts([link(url)]) == []


def test_a_mastodon_account_says_that_it_is_me() -> None:
    found = accounts([link("https://social.example.net/@icalloway", "noopener me")])
    assert [entity.key for entity in found] == [("mastodon", "icalloway@social.example.net")]


@pytest.mark.parametrize(
    ("url", "resource"),
    [
        ("https://halyard-assets.s3.eu-west-1.amazonaws.com/logo.svg", ("aws", "bucket", "halyard-assets")),
        ("https://s3.amazonaws.com/halyard-assets/x", ("aws", "bucket", "halyard-assets")),
        ("https://storage.googleapis.com/halyard-media/a.png", ("google", "bucket", "halyard-media")),
        ("https://halyardfiles.blob.core.windows.net/public/a", ("azure", "storage_account", "halyardfiles")),
        ("https://halyard-prod.firebaseio.com", ("google", "firebase", "halyard-prod")),
    ],
)
def test_a_place_at_a_cloud_provider_is_told_by_its_address(url: str, resource: tuple[str, str, str]) -> None:
    assert [entity.key for entity in cloud_resources([url, url])] == [resource]
