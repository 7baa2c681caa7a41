"""crt.sh: certificates in the public logs, as JSON (https://crt.sh/?q=%25.example.org&output=json)."""

from lab.providers import Provider, Request, Response, html, json
from lab.world import World


def answer(world: World, request: Request) -> Response | None:
    """Rows of `/?q=NAME&output=json`; `name_value` has one name a line, wildcards and e-mail addresses among them."""
    if request.path != "/":
        return None
    wanted = (request.parameter("q") or request.parameter("identity")).removeprefix("%.").lower()
    if request.parameter("output") != "json":
        return html("<html><head><title>crt.sh | Certificate Search</title></head></html>")
    return json(
        [
            {
                "issuer_ca_id": entry.issuer_id,
                "issuer_name": entry.issuer,
                "common_name": entry.common_name,
                "name_value": "\n".join(entry.names),
                "id": entry.id,
                "entry_timestamp": entry.logged.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
                "not_before": entry.not_before.strftime("%Y-%m-%dT%H:%M:%S"),
                "not_after": entry.not_after.strftime("%Y-%m-%dT%H:%M:%S"),
                "serial_number": entry.serial,
                "result_count": len(entry.names) + 1,
            }
            for entry in reversed(world.logged_certificates("crtsh", wanted))
        ]
    )


PROVIDER = Provider(id="crtsh", hosts=("crt.sh",), answer=answer)
