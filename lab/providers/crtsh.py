"""crt.sh: certificates in the public logs, as JSON (https://crt.sh/?q=%25.example.org&output=json)."""

from typing import Any

from msgspec import structs

from lab.providers import Provider, Request, Response, html, json
from lab.world import LoggedCertificate, World

MOST_ISSUED = 3  # most of its certificates are of the domain only


def answer(world: World, request: Request) -> Response | None:
    """Rows of `/?q=NAME&output=json` and `/?O=ORGANISATION&output=json`, newest first.

    `name_value` is what the search met: names, one a line, with wildcards and e-mail addresses, or an organisation.
    """
    if request.path != "/":
        return None
    if request.parameter("output") != "json":
        return html("<html><head><title>crt.sh | Certificate Search</title></head></html>")
    if organisation := request.parameter("O"):
        return json([row(entry, name) for name, entry in issued_to(world, organisation.lower().split())])
    wanted = (request.parameter("q") or request.parameter("identity")).removeprefix("%.").lower()
    return json([row(entry, *entry.names) for entry in reversed(world.logged_certificates("crtsh", wanted))])


def row(entry: LoggedCertificate, *met: str) -> dict[str, Any]:
    return {
        "issuer_ca_id": entry.issuer_id,
        "issuer_name": entry.issuer,
        "common_name": entry.common_name,
        "name_value": "\n".join(met),
        "id": entry.id,
        "entry_timestamp": entry.logged.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        "not_before": entry.not_before.strftime("%Y-%m-%dT%H:%M:%S"),
        "not_after": entry.not_after.strftime("%Y-%m-%dT%H:%M:%S"),
        "serial_number": entry.serial,
        "result_count": len(met) + 1,
    }


def issued_to(world: World, words: list[str]) -> list[tuple[str, LoggedCertificate]]:
    """Certificates with an organisation in them whose name has all the words, wherever in it they are.

    The target's are the newest of its own domain; others are of somebody who has its name in theirs.
    """
    legal = world.organisation.legal_name
    own = [(legal, entry) for entry in world.logged_certificates("crtsh", world.domain)[: -MOST_ISSUED - 1 : -1]]
    others = [(f"Friends of {legal}", structs.replace(entry, common_name=world.strangers[0].name)) for _, entry in own]
    return [(name, entry) for name, entry in own + others if all(word in name.lower() for word in words)]


PROVIDER = Provider(id="crtsh", hosts=("crt.sh",), answer=answer)
