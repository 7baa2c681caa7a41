"""RDAP of domains: IANA's directory and the registry of `.example` (RFC 9083, RFC 9224)."""

from datetime import datetime
from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.world import Contact, Registration, World

TYPE = "application/rdap+json"
SERVER = "rdap.nic.example"
STAMP = "%Y-%m-%dT%H:%M:%SZ"


def answer(world: World, request: Request) -> Response | None:
    if request.host == "data.iana.org":
        if request.path != "/rdap/dns.json":
            return None
        return directory(world, [[["example"], [f"https://{SERVER}/"]]])
    if not request.path.startswith("/domain/"):
        return None
    registration = world.registration(request.path.removeprefix("/domain/").lower())
    return json(domain(registration), media_type=TYPE) if registration else missing()


def directory(world: World, services: list[list[list[str]]]) -> Response:
    """A bootstrap file."""
    return json(
        {
            "version": "1.0",
            "publication": world.now.strftime(STAMP),
            "description": "RDAP bootstrap file of the lab",
            "services": services,
        }
    )


def missing() -> Response:
    body = {"rdapConformance": ["rdap_level_0"], "errorCode": 404, "title": "Not Found", "description": ["Not found"]}
    return json(body, status=404, media_type=TYPE)


def event(action: str, at: datetime) -> dict[str, str]:
    return {"eventAction": action, "eventDate": at.strftime(STAMP)}


def card(contact: Contact, kind: str, *, organisation: str = "", country: bool = True, ways: bool = True) -> list[Any]:
    """A jCard (RFC 7095)."""
    address = ["", "", contact.street, contact.city, "", contact.postcode, ""]
    made: list[Any] = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", contact.name],
        ["kind", {}, "text", kind],
        ["adr", {"cc": contact.country} if country else {}, "text", address],
    ]
    if organisation:
        made.append(["org", {}, "text", organisation])
    if ways:
        made.append(["tel", {"type": ["voice"]}, "uri", f"tel:{contact.phone}"])
        made.append(["email", {}, "text", contact.email])
    return ["vcard", made]


def entity(contact: Contact, kind: str, *roles: str, organisation: str = "") -> dict[str, Any]:
    return {
        "objectClassName": "entity",
        "handle": contact.handle,
        "vcardArray": card(contact, kind, organisation=organisation),
        "roles": list(roles),
    }


def domain(found: Registration) -> dict[str, Any]:
    own = f"https://{SERVER}/domain/{found.domain}"
    return {
        "objectClassName": "domain",
        "rdapConformance": ["rdap_level_0", "icann_rdap_response_profile_1"],
        "handle": found.handle,
        "ldhName": found.domain,
        "links": [{"value": own, "rel": "self", "href": own, "type": TYPE}],
        "status": [spaced(code) for code in found.status],
        "entities": [*(holder(found)), registrar(found)],
        "events": [
            event("registration", found.created),
            event("last changed", found.changed),
            event("expiration", found.expires),
        ],
        "secureDNS": {"delegationSigned": found.signed},
        "nameservers": [{"objectClassName": "nameserver", "ldhName": name} for name in found.nameservers],
    }


def holder(found: Registration) -> list[dict[str, Any]]:
    made = []
    for contact, roles in (
        (found.registrant, ("registrant", "administrative")),
        (found.technical, ("technical",)),
    ):
        kind = "org" if contact.name == contact.organisation else "individual"
        made.append(entity(contact, kind, *roles, organisation=contact.organisation))
    return made


def registrar(found: Registration) -> dict[str, Any]:
    abuse = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", ""],
        ["tel", {"type": ["voice"]}, "uri", f"tel:{found.abuse_phone}"],
        ["email", {}, "text", found.abuse_email],
    ]
    names = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", found.registrar],
        ["url", {}, "uri", found.registrar_url],
    ]
    return {
        "objectClassName": "entity",
        "handle": str(found.registrar_iana_id),
        "roles": ["registrar"],
        "publicIds": [{"type": "IANA Registrar ID", "identifier": str(found.registrar_iana_id)}],
        "vcardArray": ["vcard", names],
        "entities": [{"objectClassName": "entity", "roles": ["abuse"], "vcardArray": ["vcard", abuse]}],
    }


def spaced(code: str) -> str:
    """An EPP code as RDAP writes it (RFC 8056)."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in code)


def states(world: World) -> list[tuple[str, ...]]:
    """The people behind the contacts, by the registry's handles."""
    contacts = [contact for found in world.registrations for contact in (found.registrant, found.technical)]
    return [("person", "example", contact.handle) for contact in contacts if contact.name != contact.organisation]


PROVIDER = Provider(id="rdap_domain", hosts=("data.iana.org", SERVER), answer=answer, states=states)
