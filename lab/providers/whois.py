"""WHOIS: IANA, the registry of `.example` and the registrar of the lab's domains (RFC 3912)."""

from lab.generate.networks import REGISTRAR
from lab.providers import Provider
from lab.world import Contact, Registration, World

ROOT, REGISTRY, SPONSOR = "whois.iana.org", "whois.nic.example", REGISTRAR[3]
STAMP = "%Y-%m-%dT%H:%M:%SZ"
FOOTER = """URL of the ICANN Whois Inaccuracy Complaint Form: https://www.icann.org/wicf/
>>> Last update of WHOIS database: {now} <<<

For more information on Whois status codes, please visit https://icann.org/epp
"""


def whois(world: World, server: str, query: str) -> str | None:
    asked = query.lower().rstrip(".")
    if server == ROOT:
        return iana(asked.rpartition(".")[2])
    registration = world.registration(asked.split()[-1] if asked.split() else "")
    if registration is None:
        return f'No match for "{query.upper()[:200]}".\n>>> Last update of WHOIS database: {world.now:{STAMP}} <<<\n'
    thick = server == SPONSOR
    lines = [*facts(registration), *(contacts(registration) if thick else ()), *servers(registration)]
    return "".join(f"{line}\n" for line in lines) + FOOTER.format(now=world.now.strftime(STAMP))


def iana(top: str) -> str:
    """The record of a top-level domain; only one in the lab has a server."""
    refer = REGISTRY if top == "example" else ""
    return (
        "% IANA WHOIS server\n% for more information on IANA, visit http://www.iana.org\n"
        f"% This query returned 1 object\n\n{f'refer:        {refer}' if refer else ''}\n\n"
        f"domain:       {top[:63].upper()}\n\norganisation: Lab Registry\n\n"
        f"{f'whois:        {refer}' if refer else ''}\n\nstatus:       ACTIVE\n\nsource:       IANA\n"
    )


def facts(found: Registration) -> list[str]:
    return [
        f"Domain Name: {found.domain.upper()}",
        f"Registry Domain ID: {found.handle}",
        f"Registrar WHOIS Server: {found.registrar_whois}",
        f"Registrar URL: {found.registrar_url}",
        f"Updated Date: {found.changed.strftime(STAMP)}",
        f"Creation Date: {found.created.strftime(STAMP)}",
        f"Registry Expiry Date: {found.expires.strftime(STAMP)}",
        f"Registrar: {found.registrar}",
        f"Registrar IANA ID: {found.registrar_iana_id}",
        f"Registrar Abuse Contact Email: {found.abuse_email}",
        f"Registrar Abuse Contact Phone: {found.abuse_phone}",
        *(f"Domain Status: {code} https://icann.org/epp#{code}" for code in found.status),
    ]


def contacts(found: Registration) -> list[str]:
    return [
        line
        for role, contact in (
            ("Registrant", found.registrant),
            ("Admin", found.administrative),
            ("Tech", found.technical),
        )
        for line in contact_lines(role, contact)
    ]


def contact_lines(role: str, contact: Contact) -> list[str]:
    return [
        f"Registry {role} ID: {contact.handle}",
        f"{role} Name: {contact.name}",
        f"{role} Organization: {contact.organisation}",
        f"{role} Street: {contact.street}",
        f"{role} City: {contact.city}",
        f"{role} State/Province: ",
        f"{role} Postal Code: {contact.postcode}",
        f"{role} Country: {contact.country}",
        f"{role} Phone: {contact.phone}",
        f"{role} Email: {contact.email}",
    ]


def servers(found: Registration) -> list[str]:
    names = [f"Name Server: {name.upper()}" for name in found.nameservers]
    return [*names, f"DNSSEC: {'signedDelegation' if found.signed else 'unsigned'}"]


PROVIDER = Provider(id="whois", hosts=(ROOT, REGISTRY, SPONSOR), whois=whois)
