"""Cert Spotter's CT search: issuances a page at a time (https://sslmate.com/help/reference/ct_search_api_v1)."""

from hashlib import sha256
from typing import Any

from lab.providers import Provider, Request, Response, json
from lab.world import LoggedCertificate, World

PAGE = 50


def answer(world: World, request: Request) -> Response | None:
    if request.path != "/v1/issuances":
        return None
    domain = request.parameter("domain").lower()
    if "." not in domain:
        return json({"code": "bad_request", "message": "The domain parameter is required."}, status=400)
    after = request.parameter("after") or "0"
    entries = [
        entry
        for entry in world.logged_certificates("certspotter", domain)
        if entry.id > (int(after) if after.isdecimal() else 0)
        and (request.parameter("include_subdomains") == "true" or domain in entry.names)
    ]
    page = sorted(entries, key=lambda entry: entry.id)[:PAGE]
    return json([issuance(entry, request.query.get("expand", [])) for entry in page])


def issuance(entry: LoggedCertificate, expand: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": str(entry.id),
        "tbs_sha256": sha256(f"tbs {entry.sha256}".encode()).hexdigest(),
        "cert_sha256": entry.sha256,
        "pubkey_sha256": sha256(f"key {entry.sha256}".encode()).hexdigest(),
        "not_before": entry.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": entry.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "revoked": False,
    }
    if "dns_names" in expand:
        made["dns_names"] = list(entry.names)
    if "issuer" in expand:
        made["issuer"] = {
            "friendly_name": entry.issuer.split("O=")[-1].split(",")[0],
            "pubkey_sha256": sha256(entry.issuer.encode()).hexdigest(),
            "name": entry.issuer,
        }
    return made


PROVIDER = Provider(id="certspotter", hosts=("api.certspotter.com",), answer=answer)
