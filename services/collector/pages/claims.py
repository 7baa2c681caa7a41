"""What a page says, as claims about its URL; what has no normal form is left out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, ParamSpec, TypeVar

from services.collector.context import HttpAnswer
from services.collector.pages.headers import Cookie
from services.collector.pages.page import Page
from services.contracts import attributes, entities, relations
from services.contracts.claims import Claim, Malformed, Value
from services.contracts.entities import Entity

P = ParamSpec("P")
C = TypeVar("C")

MAX_COOKIES: Final = 20
MAX_FORMS: Final = 16


def page_claims(answer: HttpAnswer, page: Page, about: Entity) -> Iterator[Claim]:
    """Everything a page discloses, about the URL that stands for it.

    Names below the domain that was asked about are claimed as such; other hosts only as what the page links to.
    """
    yield from header_claims(answer, page, about)
    yield from _document_claims(page, about)
    for found in page.technologies:
        for technology in sound(entities.technology, found.product, found.version):
            yield relations.runs(about, technology, evidence=found.place)
    yield from name_claims(page, about)
    for entity in page.mentioned:
        yield entity
        yield relations.mentions(about, entity)
    for entity in page.carried:
        yield relations.uses(about, entity)


def header_claims(answer: HttpAnswer, page: Page, about: Entity) -> Iterator[Claim]:
    """What the headers of an answer say of its URL."""
    yield from traits(
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


def name_claims(page: Page, about: Entity) -> Iterator[Claim]:
    """The names on a page, and the hosts that it points to or speaks of."""
    for name, element in page.names.items():
        for entity in sound(entities.name, name):
            yield entity
            if element == "text":
                yield relations.mentions(about, entity)
    linked = {**page.hosts, **page.names}
    yield from link_claims(about, ((host, element) for host, element in linked.items() if element != "text"))


def link_claims(about: Entity, hosts: Iterable[tuple[str, str]]) -> Iterator[Claim]:
    """The hosts (host, element) that a URL points to, but for its own."""
    own = entities.host_of(about.key[0])
    for host, element in hosts:
        if host != own:
            for place in sound(place_of, host):
                yield relations.links_to(about, place, element=element)


def place_of(host: str) -> Entity:
    """The address, domain or host name that stands in a URL; raises `Malformed`."""
    return entities.ip_address(host) if ":" in host or host[-1:].isdigit() else entities.name(host)


def traits(about: Entity, **values: Value | Iterable[str] | None) -> Iterator[Claim]:
    """An attribute for every value, as `attributes.describe`, but leaving out those that have no normal form."""
    for name, given in values.items():
        many = given if not isinstance(given, str | int | float) and given is not None else (given,)
        for value in many:
            if value is not None and value != "":
                yield from sound(attributes.attribute, about, name, value)


def sound(build: Callable[P, C], *parts: P.args, **named: P.kwargs) -> Iterator[C]:
    """What ``build`` gives, or nothing where it finds that a value has no normal form."""
    try:
        yield build(*parts, **named)
    except Malformed:
        return


def _document_claims(page: Page, about: Entity) -> Iterator[Claim]:
    document = page.document
    own = entities.host_of(about.key[0])
    yield from traits(
        about,
        title=document.title,
        language=document.language,
        generator=document.metas.get("generator"),
        login_form=any(form.password for form in document.forms) or None,
        upload_form=any(form.upload for form in document.forms) or None,
        form_target=dict.fromkeys(form.action for form in document.forms[:MAX_FORMS] if own not in form.action),
    )


def _flags(cookie: Cookie) -> str:
    return "; ".join([cookie.name, *(["Secure"] if cookie.secure else []), *(["HttpOnly"] if cookie.http_only else [])])
