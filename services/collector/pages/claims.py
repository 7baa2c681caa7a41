"""What a page says, as claims about its URL; what has no normal form is left out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from services.collector.archetypes.sound import described, sound
from services.collector.context import HttpAnswer
from services.collector.pages.headers import Cookie
from services.collector.pages.page import Page
from services.contracts import entities, relations
from services.contracts.claims import Claim
from services.contracts.entities import Entity

MAX_COOKIES: Final = 20
MAX_FORMS: Final = 16


def page_claims(answer: HttpAnswer, page: Page, about: Entity) -> Iterator[Claim]:
    """Everything a page discloses, about the URL that stands for it.

    Names below the domain that was asked about are claimed as such; other hosts only as what the page links to.
    """
    yield from header_claims(answer, page, about)
    yield from document_claims(page, about)
    yield from described(about, language=page.document.language, generator=page.document.metas.get("generator"))
    for found in page.technologies:
        technology = sound(entities.technology, found.product, found.version)
        if technology is not None:
            yield relations.runs(about, technology, evidence=found.place)
    yield from content_claims(page, about)


def content_claims(page: Page, about: Entity) -> Iterator[Claim]:
    """What the text of a page has in it: names, hosts, contacts, accounts, trackers."""
    yield from name_claims(page.names, page.hosts, about)
    for entity in page.mentioned:
        yield entity
        yield relations.mentions(about, entity)
    for entity in page.carried:
        yield relations.uses(about, entity)


def header_claims(answer: HttpAnswer, page: Page, about: Entity) -> Iterator[Claim]:
    """What the headers of an answer say of its URL."""
    yield from described(
        about,
        mime_type=page.mime_type if page.mime_type != "text/html" else None,
        server=answer.header("server"),
        powered_by=answer.header("x-powered-by"),
        strict_transport=answer.header("strict-transport-security"),
        content_policy=answer.header("content-security-policy"),
        frame_policy=answer.header("x-frame-options"),
        cross_origin=answer.header("access-control-allow-origin"),
        missing_header=page.missing,
        cookie=[_flags(cookie) for cookie in page.cookies[:MAX_COOKIES]],
    )


def name_claims(names: Mapping[str, str], hosts: Mapping[str, str], about: Entity) -> Iterator[Claim]:
    """The names on a page, and the hosts that it points to or speaks of, each with the place where it stands."""
    own = entities.host_of(about.key[0])
    for name, element in names.items():
        entity = sound(entities.name, name) if name != own else None
        if entity is None or (element == "text" and entity.type == "domain"):
            # A page that speaks of its own domain, in mail addresses mostly, says nothing new.
            continue
        yield entity
        if element == "text":
            yield relations.mentions(about, entity)
    linked = {**hosts, **names}
    yield from link_claims(about, ((host, element) for host, element in linked.items() if element != "text"))


def link_claims(about: Entity, hosts: Iterable[tuple[str, str]]) -> Iterator[Claim]:
    """The hosts (host, element) that a URL points to, but for its own."""
    own = entities.host_of(about.key[0])
    for host, element in hosts:
        if host != own:
            place = sound(place_of, host)
            if place is not None:
                yield relations.links_to(about, place, element=element)


def place_of(host: str) -> Entity:
    """The address, domain or host name that stands in a URL; raises `Malformed`."""
    return entities.ip_address(host) if ":" in host or host[-1:].isdigit() else entities.name(host)


def document_claims(page: Page, about: Entity) -> Iterator[Claim]:
    """What a page is called, and what its forms ask for."""
    document = page.document
    own = entities.host_of(about.key[0])
    yield from described(
        about,
        title=document.title,
        login_form=any(form.password for form in document.forms) or None,
        upload_form=any(form.upload for form in document.forms) or None,
        form_target=[form.action for form in document.forms[:MAX_FORMS] if own not in form.action],
    )


def _flags(cookie: Cookie) -> str:
    return "; ".join([cookie.name, *(["Secure"] if cookie.secure else []), *(["HttpOnly"] if cookie.http_only else [])])
