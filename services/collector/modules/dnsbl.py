"""DNS block lists say of an address or a domain whether it is known for abuse, and of which kind. They are asked
through the resolver, which they see instead of us; they learn what was asked. Some answer no public resolver, and say
so with codes of their own: that is a refusal, not a listing.
"""

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address

from msgspec import Struct

from services.collector.archetypes.sound import described
from services.collector.context import Answer, Blocked, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.answer import Answer as Resolution
from services.contracts.claims import Absence, Claim, Entity

MANIFEST = Manifest(
    id="dnsbl",
    version=2,
    title="DNS block lists",
    activity="passive",
    source="https://www.spamhaus.org/blocklists/",
    format="https://www.rfc-editor.org/rfc/rfc5782",
    consumes=("ip_address", "domain"),
    produces=("ip_address", "domain"),
    rate=50.0,
    burst=100,
    concurrency=8,
    cost=6.0,
    freshness=86_400,
    timeout=60.0,
    licence="free for low-volume use; each list has terms of its own",
)


class List(Struct, frozen=True):
    """A list: its zone, what it is called, whether it takes IPv6, and what its return codes mean.

    ``bits`` marks codes whose last octet is a set of flags; ``refusals`` are codes that mean "not for you".
    """

    zone: str
    title: str
    codes: dict[str, str]
    ipv6: bool = False
    bits: bool = False
    refusals: frozenset[str] = frozenset()


# https://docs.spamhaus.com/datasets/docs/source/10-data-type-documentation/datasets/040-zones.html and
# https://www.spamhaus.org/faqs/dnsbl-usage/ for the refusals
SPAMHAUS_REFUSALS = frozenset({"127.255.255.252", "127.255.255.254", "127.255.255.255"})
ADDRESS_LISTS = (
    List(
        "zen.spamhaus.org",
        "Spamhaus ZEN",
        {
            "127.0.0.2": "SBL: source of spam",
            "127.0.0.3": "CSS: source of snowshoe spam",
            **dict.fromkeys(("127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"), "XBL: hijacked or infected machine"),
            "127.0.0.9": "DROP: hijacked or criminal network",
            "127.0.0.10": "PBL: sends no mail by itself, says its provider",
            "127.0.0.11": "PBL: sends no mail by itself, says Spamhaus",
            "127.0.0.30": "BCL: controls a botnet",
        },
        ipv6=True,
        refusals=SPAMHAUS_REFUSALS,
    ),
    # https://www.spamcop.net/fom-serve/cache/291.html
    List("bl.spamcop.net", "SpamCop", {"127.0.0.2": "source of reported spam"}),
    # https://psbl.org/
    List("psbl.surriel.com", "PSBL", {"127.0.0.2": "sent to a spam trap"}),
    # https://www.uceprotect.net/en/index.php?m=6&s=0
    List("dnsbl-1.uceprotect.net", "UCEPROTECT Level 1", {"127.0.0.2": "sent to a spam trap or attacked"}),
    # https://dronebl.org/classes
    List(
        "dnsbl.dronebl.org",
        "DroneBL",
        {
            "127.0.0.3": "IRC spam drone",
            "127.0.0.5": "bottler",
            "127.0.0.6": "unknown worm or spam bot",
            "127.0.0.7": "DDoS drone",
            "127.0.0.8": "open SOCKS proxy",
            "127.0.0.9": "open HTTP proxy",
            "127.0.0.10": "proxy chain",
            "127.0.0.11": "web page proxy",
            "127.0.0.12": "open DNS resolver",
            "127.0.0.13": "brute force attacker",
            "127.0.0.14": "open Wingate proxy",
            "127.0.0.15": "compromised router or gateway",
            "127.0.0.16": "autorooting worm",
            "127.0.0.17": "bot, found automatically",
            "127.0.0.18": "compromised DNS or mail server",
            "127.0.0.19": "abused VPN",
            "127.0.0.255": "uncategorised threat",
        },
        ipv6=True,
    ),
    # https://www.blocklist.de/en/rbldns.html
    List(
        "bl.blocklist.de",
        "blocklist.de",
        {
            "127.0.0.2": "attacked Amavis",
            "127.0.0.3": "attacked Apache for DDoS",
            "127.0.0.4": "attacked Asterisk",
            "127.0.0.5": "sent bad bots",
            "127.0.0.6": "attacked Courier POP3",
            "127.0.0.7": "attacked Courier IMAP",
            "127.0.0.8": "attacked FTP",
            "127.0.0.9": "attacked IMAP",
            "127.0.0.10": "attacked IRC",
            "127.0.0.11": "attacked mail",
            "127.0.0.12": "attacked POP3",
            "127.0.0.13": "spammed with a bot",
            "127.0.0.14": "scanned SSH",
            "127.0.0.15": "attacked SSH",
            "127.0.0.16": "attacked web logins",
        },
        ipv6=True,
    ),
)
NAME_LISTS = (
    List(
        "dbl.spamhaus.org",
        "Spamhaus DBL",
        {
            "127.0.1.2": "low reputation",
            "127.0.1.4": "phishing",
            "127.0.1.5": "malware",
            "127.0.1.6": "botnet control",
            "127.0.1.102": "legitimate but abused",
            "127.0.1.103": "abused redirector",
            "127.0.1.104": "abused for phishing",
            "127.0.1.105": "abused for malware",
            "127.0.1.106": "abused for botnet control",
        },
        refusals=SPAMHAUS_REFUSALS | {"127.0.1.255"},
    ),
    # https://surbl.org/lists
    List(
        "multi.surbl.org",
        "SURBL",
        {"4": "disposable", "8": "phishing", "16": "malware", "32": "click tracker", "64": "abuse", "128": "cracked"},
        bits=True,
        refusals=frozenset({"127.0.0.1"}),
    ),
    # https://uribl.com/about.shtml
    List(
        "multi.uribl.com",
        "URIBL",
        {"2": "black: in unwanted mail", "4": "grey: in bulk mail", "8": "red: new and unclear"},
        bits=True,
        refusals=frozenset({"127.0.0.1"}),
    ),
)
BY_ZONE = {one.zone: one for one in (*ADDRESS_LISTS, *NAME_LISTS)}


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    answer = await ctx.dns.ask_each(questions(seen))
    yield answer
    refused = [list_of(resolution).title for resolution in answer.resolutions if is_refused(resolution)]
    if refused:
        raise Blocked(f"no answer for this resolver from {', '.join(refused)}")
    silent = [list_of(resolution).title for resolution in answer.resolutions if not resolution.asked]
    if silent:
        raise Unreachable(f"no answer from {', '.join(silent)}")


def questions(seen: Entity) -> list[str]:
    """The names under which the lists would have the subject (RFC 5782, sections 2.1, 2.4 and 3)."""
    if seen.type == "domain":
        return [f"{seen.value}.{one.zone}" for one in NAME_LISTS]
    address = ip_address(seen.key[0])
    reverse = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return [f"{reverse}.{one.zone}" for one in ADDRESS_LISTS if address.version == 4 or one.ipv6]


def list_of(resolution: Resolution) -> List:
    """The list that a question went to; its zone is what the name ends with."""
    return next(one for zone, one in BY_ZONE.items() if resolution.name.endswith(f".{zone}"))


def is_refused(resolution: Resolution) -> bool:
    """Whether the list, or a resolver that answers in its place, said nothing of the subject.

    Lists answer in 127.0.0.0/8 (RFC 5782, section 2.1); any other address is that of a resolver's own page.
    """
    rewritten = any(not value.startswith("127.") for value in resolution.values)
    refused = list_of(resolution).refusals.intersection(resolution.values)
    return rewritten or bool(refused) or resolution.status == "refused"


def parse(answer: DnsAnswer, seen: Entity) -> Iterator[Claim]:
    titles: list[str] = []
    reasons: list[str] = []
    for resolution in answer.resolutions:
        if resolution.status == "found" and not is_refused(resolution):
            one = list_of(resolution)
            meanings = [meaning for code in resolution.values[:16] for meaning in meanings_of(one, code)]
            titles += [one.title] * bool(meanings)
            reasons += [f"{one.title}: {meaning}" for meaning in meanings]
    yield from described(seen, listed_by=titles, listing_reason=reasons)
    if all(resolution.status in {"nxdomain", "nodata"} for resolution in answer.resolutions):
        yield Absence(seen, "listed_by")


def meanings_of(one: List, code: str) -> list[str]:
    """What a return code means; a code that the list does not document is no listing."""
    if not one.bits:
        return [one.codes[code]] if code in one.codes else []
    first, _, last = code.rpartition(".")
    flags = int(last) if first == "127.0.0" and last.isdecimal() and last.isascii() else 0
    return [meaning for bit, meaning in one.codes.items() if flags & int(bit)]
