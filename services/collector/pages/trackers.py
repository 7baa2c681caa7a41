"""Analytics and advertising accounts that a page reports to; the same account on two sites says who runs both."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from msgspec import Struct

from services.contracts import entities
from services.contracts.entities import Entity, Malformed

MAX_TRACKERS: Final = 64


class Tracker(Struct, frozen=True):
    """A kind of tracker: ``gate`` is a literal without which ``pattern`` (one group, the id) is not tried.

    Patterns begin with a literal, which is what makes a search fast; no word may run into them from the left.
    """

    kind: str
    gate: bytes
    pattern: bytes


# Each form is what the vendor's own installation page says to paste.
TRACKERS: Final = (
    Tracker("google_analytics", b"G-", rb"(G-[A-Z0-9]{8,12})(?![\w-])"),
    Tracker("google_analytics", b"UA-", rb"(UA-[0-9]{4,10}-[0-9]{1,4})(?![\w-])"),
    Tracker("google_tag_manager", b"GTM-", rb"(GTM-[A-Z0-9]{4,10})(?![\w-])"),
    Tracker("google_ads", b"AW-", rb"(AW-[0-9]{8,12})(?![\w-])"),
    Tracker("google_floodlight", b"DC-", rb"(DC-[0-9]{6,10})(?![\w-])"),
    Tracker("google_adsense", b"pub-", rb"(pub-[0-9]{16})(?![0-9])"),
    Tracker("facebook_pixel", b"fbq", rb"fbq\s*\(\s*[\"']init[\"']\s*,\s*[\"']?([0-9]{10,18})"),
    Tracker("facebook_pixel", b"facebook.com/tr", rb"facebook\.com/tr/?\?(?:[^\"'\s]{0,200}[&;])?id=([0-9]{10,18})"),
    Tracker("hotjar", b"hjid", rb"hjid[\"']?\s*[:=]\s*[\"']?([0-9]{4,10})"),
    Tracker("hotjar", b"hotjar.com/c/hotjar-", rb"hotjar\.com/c/hotjar-([0-9]{4,10})"),
    Tracker("microsoft_clarity", b"clarity.ms/tag/", rb"clarity\.ms/tag/([a-z0-9]{8,12})(?![a-z0-9])"),
    Tracker("microsoft_clarity", b'"clarity"', rb"\"clarity\"\s*,\s*\"script\"\s*,\s*\"([a-z0-9]{8,12})\""),
    Tracker("bing_uet", b"bat.bing.com", rb"ti\s*:\s*[\"']([0-9]{6,12})[\"']"),
    Tracker("linkedin_insight", b"_linkedin_", rb"_linkedin_(?:data_)?partner_id\s*=\s*[\"']([0-9]{4,10})[\"']"),
    Tracker("tiktok_pixel", b"ttq.load", rb"ttq\.load\s*\(\s*[\"']([A-Z0-9]{16,24})[\"']"),
    Tracker("twitter_pixel", b"twq", rb"twq\s*\(\s*[\"'](?:init|config)[\"']\s*,\s*[\"']([a-z0-9]{4,8})[\"']"),
    Tracker("pinterest_tag", b"pintrk", rb"pintrk\s*\(\s*[\"']load[\"']\s*,\s*[\"']([0-9]{10,16})[\"']"),
    Tracker("snap_pixel", b"snaptr", rb"snaptr\s*\(\s*[\"']init[\"']\s*,\s*[\"']([0-9a-f-]{36})[\"']"),
    Tracker("reddit_pixel", b"rdt", rb"rdt\s*\(\s*[\"']init[\"']\s*,\s*[\"']([at][0-9]_[a-z0-9]{4,16})[\"']"),
    Tracker("yandex_metrica", b"mc.yandex", rb"ym\s*\(\s*([0-9]{5,10})\s*,"),
    Tracker("yandex_metrica", b"mc.yandex.ru/watch/", rb"mc\.yandex\.ru/watch/([0-9]{5,10})"),
    Tracker("baidu_tongji", b"hm.baidu.com", rb"hm\.baidu\.com/hm\.js\?([0-9a-f]{32})"),
    Tracker("segment", b"analytics.load", rb"analytics\.load\s*\(\s*[\"']([A-Za-z0-9]{20,40})[\"']"),
    Tracker("mixpanel", b"mixpanel.init", rb"mixpanel\.init\s*\(\s*[\"']([0-9a-f]{32})[\"']"),
    Tracker("amplitude", b"amplitude", rb"amplitude\.(?:getInstance\(\)\.)?init\s*\(\s*[\"']([0-9a-f]{32})[\"']"),
    Tracker("heap", b"heap.load", rb"heap\.load\s*\(\s*[\"']([0-9]{6,12})[\"']"),
    Tracker("posthog", b"posthog.init", rb"posthog\.init\s*\(\s*[\"'](phc_[A-Za-z0-9]{32,50})[\"']"),
    Tracker("fullstory", b"_fs_org", rb"_fs_org[\"']?\]?\s*=\s*[\"']([A-Za-z0-9-]{4,16})[\"']"),
    Tracker("mouseflow", b"mouseflow.com/projects/", rb"mouseflow\.com/projects/([0-9a-f-]{36})"),
    Tracker("crazy_egg", b"crazyegg.com/pages/", rb"crazyegg\.com/pages/scripts/([0-9]{4}/[0-9]{4})"),
    Tracker("hubspot", b"hs-scripts.com/", rb"hs-scripts\.com/([0-9]{4,10})\.js"),
    Tracker("intercom", b"widget.intercom.io/widget/", rb"widget\.intercom\.io/widget/([a-z0-9]{6,12})"),
    Tracker("quantcast", b"qacct", rb"qacct[\"']?\s*:\s*[\"'](p-[A-Za-z0-9_-]{8,16})[\"']"),
    Tracker("statcounter", b"sc_project", rb"sc_project\s*=\s*[\"']?([0-9]{5,10})"),
    Tracker("cloudflare_insights", b"data-cf-beacon", rb"data-cf-beacon=[^>]{0,40}token[\"':\s]{1,8}([0-9a-f]{32})"),
    Tracker("plausible", b"data-domain=", rb"data-domain=[\"']([a-z0-9.,-]{4,100})[\"']"),
    Tracker("fathom", b"usefathom.com", rb"data-site=[\"']([A-Z]{6,10})[\"']"),
    Tracker("umami", b"data-website-id", rb"data-website-id=[\"']([0-9a-f-]{36})[\"']"),
    Tracker("new_relic", b"licenseKey", rb"licenseKey[\"']?\s*:\s*[\"']((?:NRJS-|NRBR-)?[0-9a-f]{10,40})[\"']"),
    Tracker("sentry", b".ingest.", rb"https://([0-9a-f]{32}@o[0-9]{1,10}\.ingest\.(?:[a-z]{2}\.)?sentry\.io/[0-9]{1,20})"),
    Tracker("datadog_rum", b"datadoghq", rb"applicationId[\"']?\s*:\s*[\"']([0-9a-f-]{36})[\"']"),
    Tracker("adobe_launch", b"assets.adobedtm.com", rb"assets\.adobedtm\.com/([0-9a-f]{12}/[0-9a-f]{12})/"),
    Tracker("optimizely", b"cdn.optimizely.com/js/", rb"cdn\.optimizely\.com/js/([0-9]{6,20})\.js"),
    Tracker("vwo", b"_vwo_", rb"account_id\s*=\s*([0-9]{4,10})"),
    Tracker("criteo", b"criteo", rb"setAccount[\"']?\s*,\s*(?:account\s*:\s*)?[\"']?([0-9]{3,8})"),
    Tracker("adroll", b"adroll_adv_id", rb"adroll_adv_id\s*=\s*[\"']([A-Z0-9]{22})[\"']"),
    Tracker("zendesk", b"static.zdassets.com", rb"static\.zdassets\.com/ekr/snippet\.js\?key=([0-9a-f-]{36})"),
    Tracker("drift", b"drift.load", rb"drift\.load\s*\(\s*[\"']([a-z0-9]{8,16})[\"']"),
    Tracker("tawk", b"embed.tawk.to/", rb"embed\.tawk\.to/([0-9a-f]{24})/"),
    Tracker("crisp", b"CRISP_WEBSITE_ID", rb"CRISP_WEBSITE_ID\s*=\s*[\"']([0-9a-f-]{36})[\"']"),
    Tracker("onetrust", b"data-domain-script", rb"data-domain-script=[\"']([0-9a-f-]{36})"),
    Tracker("cookiebot", b"data-cbid", rb"data-cbid=[\"']([0-9a-f-]{36})[\"']"),
)  # fmt: skip

_word = re.compile(rb"\w").match
_matomo_site = re.compile(rb"setSiteId[\"']\s*,\s*[\"']?([0-9]{1,6})")
_matomo_server = re.compile(rb"[\"'](?:https?:)?\\?/\\?/([a-z0-9.-]{4,200}?)(?:\\?/[a-z0-9_./\\-]{0,60})?[\"']")
_compiled: dict[bytes, Callable[[bytes], Iterator[re.Match[bytes]]]] = {}


def trackers(text: bytes) -> list[Entity]:
    """The tracker accounts in scripts, their data attributes and the URLs that a page loads, each once."""
    found: dict[tuple[str, ...], Entity] = {}
    for tracker in TRACKERS:
        if tracker.gate not in text:
            continue
        search = _compiled.get(tracker.pattern)
        if search is None:
            search = _compiled[tracker.pattern] = re.compile(tracker.pattern).finditer
        for match in islice(search(text), MAX_TRACKERS):
            if not _word(text, max(0, match.start() - 1), match.start()):
                _keep(found, tracker.kind, match[1].decode("ascii"))
    if b"setSiteId" in text:
        for kind_id in _matomo(text):
            _keep(found, "matomo", kind_id)
    return list(found.values())


def _matomo(text: bytes) -> Iterator[str]:
    """``server#site``: the number of a site means something only on its own server."""
    for match in islice(_matomo_site.finditer(text), 8):
        around = text[max(0, match.start() - 400) : match.end() + 400]
        server = _matomo_server.search(around)
        if server:
            yield f"{server[1].decode('ascii')}#{match[1].decode('ascii')}"


def _keep(found: dict[tuple[str, ...], Entity], kind: str, account: str) -> None:
    try:
        entity = entities.web_tracker(kind, account)
    except Malformed:
        return
    found[entity.key] = entity
