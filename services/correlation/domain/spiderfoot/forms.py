"""Which events of SpiderFoot an entity is, by its type, its role, and the way to it (`data-model.md` 4.3 and 4.4)."""

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from services.contracts.entities import host_of
from services.correlation.domain.spiderfoot.things import Form, Thing, Way

#: Beginnings of addresses, in normal form, that are none of the internet's (RFC 1918, 3927, 4193, 6598; loopback).
_INTERNAL_IPV4: Final = ("10.", "127.", "169.254.", "192.168.")
_INTERNAL_IPV6: Final = ("fc", "fd", "fe8", "fe9", "fea", "feb")
_BUCKETS: Final = {"bucket", "storage_account", "firebase_storage"}
_BUCKET_HOSTS: Final = {
    "aws": "{}.s3.amazonaws.com",
    "google": "{}.storage.googleapis.com",
    "azure": "{}.blob.core.windows.net",
    "digitalocean": "{}.digitaloceanspaces.com",
}
_ORGANIZATIONS: Final = {
    "registrar": "DOMAIN_REGISTRAR",
    "hosting": "PROVIDER_HOSTING",
    "carrier": "PROVIDER_TELCO",
}
_REGISTRATIONS: Final = {
    "DOMAIN_NAME": "DOMAIN_WHOIS",
    "INTERNET_NAME": "DOMAIN_WHOIS",
    "DOMAIN_NAME_PARENT": "DOMAIN_WHOIS",
    "AFFILIATE_DOMAIN_NAME": "AFFILIATE_DOMAIN_WHOIS",
    "CO_HOSTED_SITE_DOMAIN": "CO_HOSTED_SITE_DOMAIN_WHOIS",
    "SIMILARDOMAIN": "SIMILARDOMAIN_WHOIS",
    "NETBLOCK_OWNER": "NETBLOCK_WHOIS",
    "NETBLOCK_MEMBER": "NETBLOCK_WHOIS",
    "NETBLOCKV6_OWNER": "NETBLOCK_WHOIS",
    "NETBLOCKV6_MEMBER": "NETBLOCK_WHOIS",
}
_PROVIDERS: Final = {"uses_nameserver": "PROVIDER_DNS", "uses_mailserver": "PROVIDER_MAIL"}
_LEAKS: Final = {"phone_number": "PHONE_NUMBER_COMPROMISED", "account": "ACCOUNT_EXTERNAL_OWNED_COMPROMISED"}
_CHAINS: Final = {"bitcoin": "BITCOIN_ADDRESS", "ethereum": "ETHEREUM_ADDRESS"}
_PAGES: Final = frozenset({"links_to", "mentions", "uses"})


def forms_of(thing: Thing, way: Way) -> tuple[Form, ...]:
    """The events that a thing is by a way to it, each the source of the next; others come from the last.

    What led there must be known to lead back to a target before this is asked.
    """
    if way.forms is None:
        form = _FORMS.get(thing.entity.type)
        way.forms = form(thing, way) if form else ()
    return way.forms


def beside(thing: Thing, way: Way) -> Iterator[Form]:
    """Further events by the same way, from the same source."""
    relation = way.relation
    if relation in _PROVIDERS:
        yield _PROVIDERS[relation], thing.entity.value
    if relation == "links_to" and way.link is not None and thing.entity.type == "url":
        element = way.link.facts.qualifiers.get("element")
        if element == "document":
            yield "INTERESTING_FILE", thing.entity.key[0]
        elif element == "script" and not thing.is_inside:
            yield "PROVIDER_JAVASCRIPT", host_of(thing.entity.key[0])
    if relation == "leaked_in" and way.parent is not None and way.parent.entity.type in _LEAKS:
        yield _LEAKS[way.parent.entity.type], f"{way.parent.entity.value} [{_name_of(thing)}]"
    if thing.entity.type == "dns_record":
        yield from _text_records(thing)
    if thing.entity.type == "domain" and thing.value("resolution") == "resolved":
        # There a domain that has an address is a host as well.
        if thing.is_inside:
            yield "INTERNET_NAME", thing.entity.key[0]
        elif thing.role == "affiliate":
            yield "AFFILIATE_INTERNET_NAME", thing.entity.key[0]


def _one(type: str) -> Callable[[Thing, Way], tuple[Form, ...]]:
    def form(thing: Thing, _: Way) -> tuple[Form, ...]:
        return ((type, thing.entity.value),)

    return form


def _domain(thing: Thing, way: Way) -> tuple[Form, ...]:
    if thing.is_inside:
        return (("DOMAIN_NAME", thing.entity.key[0]),)
    if (
        way.relation == "part_of"
        and way.parent is not None
        and way.parent.entity.type == "hostname"
        and way.parent.is_inside
    ):
        return (("DOMAIN_NAME_PARENT", thing.entity.key[0]),)
    found = {
        "affiliate": "AFFILIATE_DOMAIN_NAME",
        "co_hosted": "CO_HOSTED_SITE_DOMAIN",
        "similar": "SIMILARDOMAIN",
    }.get(thing.role or "")
    return ((found, thing.entity.key[0]),) if found else ()


def _hostname(thing: Thing, way: Way) -> tuple[Form, ...]:
    unresolved = "_UNRESOLVED" if thing.value("resolution") == "unresolved" else ""
    if thing.is_inside:
        return ((f"INTERNET_NAME{unresolved}", thing.entity.key[0]),)
    found = {
        "affiliate": f"AFFILIATE_INTERNET_NAME{unresolved}",
        "co_hosted": "CO_HOSTED_SITE",
        "similar": "SIMILARDOMAIN",
    }.get(thing.role or "")
    return ((found, thing.entity.key[0]),) if found else ()


def is_internal(text: str) -> bool:
    """Whether an address is none of the internet's."""
    if ":" in text:
        return text == "::1" or text.startswith(_INTERNAL_IPV6)
    if text.startswith(("172.", "100.")):
        first, second = text.split(".", 2)[:2]
        return 16 <= int(second) < 32 if first == "172" else 64 <= int(second) < 128
    return text.startswith(_INTERNAL_IPV4)


def _ip_address(thing: Thing, way: Way) -> tuple[Form, ...]:
    text = thing.entity.key[0]
    if is_internal(text):
        return (("INTERNAL_IP_ADDRESS", text),)
    if thing.is_inside:
        return (("IPV6_ADDRESS" if ":" in text else "IP_ADDRESS", text),)
    if thing.role != "affiliate":
        return ()
    return (("AFFILIATE_IPV6_ADDRESS" if ":" in text else "AFFILIATE_IPADDR", text),)


def _netblock(thing: Thing, way: Way) -> tuple[Form, ...]:
    version = "V6" if ":" in thing.entity.key[0] else ""
    return ((f"NETBLOCK{version}_{'OWNER' if thing.is_inside else 'MEMBER'}", thing.entity.key[0]),)


def _asn(thing: Thing, way: Way) -> tuple[Form, ...]:
    return (("BGP_AS_OWNER" if thing.is_inside else "BGP_AS_MEMBER", thing.entity.key[0]),)


def _dns_record(thing: Thing, way: Way) -> tuple[Form, ...]:
    owner, kind, rdata = thing.entity.key
    return (("RAW_DNS_RECORDS", f"{owner} IN {kind} {rdata}"),)


def _text_records(thing: Thing) -> Iterator[Form]:
    _, kind, rdata = thing.entity.key
    if kind == "SRV":
        yield "DNS_SRV", rdata
    elif kind == "TXT":
        text = rdata.strip('"')
        yield "DNS_TEXT", text
        if text.lower().startswith("v=spf1"):
            yield "DNS_SPF", text


def _service(thing: Thing, way: Way) -> tuple[Form, ...]:
    address, transport, port = thing.entity.key
    if thing.value("state") in {"closed", "filtered"} or transport not in {"tcp", "udp"}:
        return ()
    return ((f"{transport.upper()}_PORT_OPEN", f"[{address}]:{port}" if ":" in address else f"{address}:{port}"),)


def _url(thing: Thing, way: Way) -> tuple[Form, ...]:
    return (("LINKED_URL_INTERNAL" if thing.is_inside else "LINKED_URL_EXTERNAL", thing.entity.key[0]),)


def _technology(thing: Thing, way: Way) -> tuple[Form, ...]:
    name = thing.entity.value
    if name.startswith(("cpe:2.3:o:", "cpe:/o:")):
        return (("OPERATING_SYSTEM", name),)
    on_the_web = way.parent is not None and way.parent.entity.type in {"url", "domain", "hostname"}
    return (("WEBSERVER_TECHNOLOGY" if on_the_web else "SOFTWARE_USED", name),)


def _cloud_resource(thing: Thing, way: Way) -> tuple[Form, ...]:
    provider, kind, name = thing.entity.key
    if kind not in _BUCKETS:
        return ()
    host = _BUCKET_HOSTS.get(provider, f"{{}}.{provider}").format(name)
    bucket = ("CLOUD_STORAGE_BUCKET", host)
    # There a bucket that a page names is found at the link, which comes from the page.
    is_linked = way.relation in _PAGES and way.parent is not None and way.parent.entity.type == "url"
    return (("LINKED_URL_EXTERNAL", f"https://{host}/"), bucket) if is_linked else (bucket,)


def _email_address(thing: Thing, way: Way) -> tuple[Form, ...]:
    if not thing.is_inside:
        return (("AFFILIATE_EMAILADDR", thing.entity.key[0]),)
    return (("EMAILADDR_GENERIC" if thing.value("generic_mailbox") is True else "EMAILADDR", thing.entity.key[0]),)


def _account(thing: Thing, way: Way) -> tuple[Form, ...]:
    platform, handle = thing.entity.key
    if thing.role == "similar":
        return (("SIMILAR_ACCOUNT_EXTERNAL", f"{platform}: {handle}"),)
    return (("SOCIAL_MEDIA" if way.relation in _PAGES else "ACCOUNT_EXTERNAL_OWNED", f"{platform}: {handle}"),)


def _person(thing: Thing, way: Way) -> tuple[Form, ...]:
    whole = " ".join(filter(None, (thing.text("given_name"), thing.text("family_name"))))
    name = thing.text("display_name") or whole
    return (("HUMAN_NAME", name or thing.entity.key[1]),)


def _organization(thing: Thing, way: Way) -> tuple[Form, ...]:
    named = thing.entity.key[1] if thing.entity.key[0] == "name" else thing.entity.value
    name = thing.text("legal_name", "display_name") or named
    if way.relation == "issued_by":
        # The certificate says its issuer itself, and better.
        return () if way.parent is not None and way.parent.value("issuer") else (("SSL_CERTIFICATE_ISSUER", name),)
    kind = _ORGANIZATIONS.get(way.link.facts.qualifiers.get("role", "") if way.link else "", "")
    if kind == "DOMAIN_REGISTRAR" and way.parent is not None and way.parent.value("registrar"):
        return ()
    of_affiliate = way.parent is not None and way.parent.types and way.parent.types[-1].startswith("AFFILIATE_")
    return ((kind or ("AFFILIATE_COMPANY_NAME" if of_affiliate else "COMPANY_NAME"), name),)


def _location(thing: Thing, way: Way) -> tuple[Form, ...]:
    kind = thing.entity.key[0]
    if kind == "geohash":
        place = thing.value("latitude"), thing.value("longitude")
        text = f"{place[0]},{place[1]}" if None not in place else thing.entity.key[1]
        return (("PHYSICAL_COORDINATES", text),)
    name = thing.text("display_name")
    if kind == "country":
        return (("COUNTRY_NAME", name or thing.entity.key[1]),)
    text = ", ".join(filter(None, thing.entity.key[1:]))
    return (("PHYSICAL_ADDRESS" if kind == "address" else "GEOINFO", name or text),)


def _identifier(thing: Thing, way: Way) -> tuple[Form, ...]:
    return (("LEI", thing.entity.key[1]),) if thing.entity.key[0] == "lei" else ()


def _crypto_address(thing: Thing, way: Way) -> tuple[Form, ...]:
    found = _CHAINS.get(thing.entity.key[0])
    return ((found, thing.entity.key[1]),) if found else ()


def _payment_instrument(thing: Thing, way: Way) -> tuple[Form, ...]:
    found = {"iban": "IBAN_NUMBER", "card": "CREDIT_CARD_NUMBER"}.get(thing.entity.key[0])
    return ((found, thing.entity.key[1]),) if found else ()


def _registration(thing: Thing, way: Way) -> tuple[Form, ...]:
    above = way.parent.types[-1] if way.parent is not None and way.parent.types else ""
    return ((_REGISTRATIONS.get(above, "RAW_RIR_DATA"), thing.entity.value),)


def _vulnerability(thing: Thing, way: Way) -> tuple[Form, ...]:
    name = thing.entity.key[0]
    said = thing.value("cvss")
    points = float(said) if isinstance(said, int | float) else 0.0
    if points <= 0:
        return (("VULNERABILITY_GENERAL", name),)
    grade = "CRITICAL" if points >= 9 else "HIGH" if points >= 7 else "MEDIUM" if points >= 4 else "LOW"
    return ((f"VULNERABILITY_CVE_{grade}", name),)


def _breach(thing: Thing, way: Way) -> tuple[Form, ...]:
    if way.parent is None or way.parent.entity.type != "email_address":
        return ()
    return (("EMAILADDR_COMPROMISED", f"{way.parent.entity.value} [{_name_of(thing)}]"),)


def _credential(thing: Thing, way: Way) -> tuple[Form, ...]:
    kind, digest = thing.entity.key
    return (("HASH_COMPROMISED" if "hash" in kind else "PASSWORD_COMPROMISED", f"{kind}:{digest}"),)


def _publication(thing: Thing, way: Way) -> tuple[Form, ...]:
    url = thing.entity.key[0]
    host = urlsplit(url).hostname or ""
    if host == "wikipedia.org" or host.endswith(".wikipedia.org"):
        return (("WIKIPEDIA_PAGE_EDIT", url),)
    kind = ("DARKNET_MENTION_URL", "DARKNET_MENTION_CONTENT") if host.endswith(".onion") else _LEAKED
    return ((kind[0], url), (kind[1], thing.text("title", "description") or url))


def _file(thing: Thing, way: Way) -> tuple[Form, ...]:
    name = thing.text("file_name")
    return (("INTERESTING_FILE", name),) if name else (("HASH", thing.entity.key[-1]),)


def _crypto_key(thing: Thing, way: Way) -> tuple[Form, ...]:
    return (("PGP_KEY", thing.entity.key[1]),) if thing.entity.key[0] == "pgp" else ()


def _name_of(thing: Thing) -> str:
    return thing.text("title", "display_name") or thing.entity.key[-1] or thing.entity.key[0]


_LEAKED: Final = ("LEAKSITE_URL", "LEAKSITE_CONTENT")

_FORMS: Final[dict[str, Callable[[Thing, Way], tuple[Form, ...]]]] = {
    "account": _account,
    "asn": _asn,
    "breach": _breach,
    "certificate": _one("SSL_CERTIFICATE_RAW"),
    "cloud_resource": _cloud_resource,
    "code_repository": _one("PUBLIC_CODE_REPO"),
    "credential": _credential,
    "crypto_address": _crypto_address,
    "crypto_key": _crypto_key,
    "dns_record": _dns_record,
    "domain": _domain,
    "email_address": _email_address,
    "file": _file,
    "hostname": _hostname,
    "identifier": _identifier,
    "ip_address": _ip_address,
    "location": _location,
    "mobile_app": _one("APPSTORE_ENTRY"),
    "netblock": _netblock,
    "organization": _organization,
    "payment_instrument": _payment_instrument,
    "person": _person,
    "phone_number": _one("PHONE_NUMBER"),
    "publication": _publication,
    "registration": _registration,
    "service": _service,
    "technology": _technology,
    "url": _url,
    "username": _one("USERNAME"),
    "vulnerability": _vulnerability,
    "web_tracker": _one("WEB_ANALYTICS_ID"),
    "wifi_network": _one("WIFI_ACCESS_POINT"),
}
