"""Fields that nobody was asked for: refused in each body, and what is not said by who asks is not taken from him."""

from typing import Any

import pytest

from tests.attacks.hulls import PASSWORD, Hull, People, answered, good

pytestmark = pytest.mark.slow

#: What somebody would like to say of himself, or of what he makes.
PRIVILEGED: dict[str, Any] = {
    "role": "owner", "roles": ["owner", "operator"], "permissions": ["all"], "may": ["scans.run"], "operator": True,
    "is_admin": True, "admin": True, "kind": "operator", "account": "00000000-0000-0000-0000-000000000007",
    "owner": "jo", "id": "00000000-0000-0000-0000-000000000007", "session": "00000000-0000-0000-0000-000000000007",
    "workspace": "elsewhere", "wsp": "elsewhere", "caller": {"kind": "operator"}, "by": "Jo Doe", "created": 1,
    "expires": 1 << 60, "state": "open", "verified": True, "service": "scans", "sub": "jo", "name": "x", "email": "x@y",
    "__proto__": {"role": "owner"}, "constructor": {"role": "owner"}, "password": "x", "code": "x", "authorised": True,
}  # fmt: skip


def sample(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """Something that fits a schema, roughly."""
    if "$ref" in schema:
        return sample(components[schema["$ref"].rpartition("/")[2]], components)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return sample(schema[several][0], components)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: sample(schema["properties"][name], components) for name in schema.get("required", ())}
        case "array":
            return [sample(schema["items"], components)] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "null":
            return None
    return (
        "00000000-0000-0000-0000-000000000007"
        if schema.get("format") == "uuid"
        else "a" * max(1, schema.get("minLength", 1))
    )


def test_every_body_refuses_what_it_does_not_ask_for(hull: Hull, people: People) -> None:
    components = good(hull.ask("GET", "/openapi.json"))["components"]["schemas"]
    looked_at = 0
    for method, path, operation in answered(hull):
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["additionalProperties"] is False, path
        token = "" if operation.get("security") == [] else people.jo.access
        target = path.replace("{", "").replace("}", "")
        body = sample(schema, components)
        for name, value in PRIVILEGED.items():
            if name not in schema["properties"]:
                reply = hull.ask(method, target, {**body, name: value}, token=token)
                assert reply.status == 400, (path, name, reply)
                looked_at += 1
                # Nor is it taken from the address, or from what is said twice.
                reply = hull.ask(method, f"{target}?{name}=owner", body, token=token)
                assert reply.status == 400, (path, name, reply)
    assert looked_at > 500


def test_who_makes_an_account_is_what_he_was_invited_as(hull: Hull, people: People) -> None:
    invited = {"email": "mallory@example.org", "role": "viewer"}
    code = good(hull.ask("POST", "/v1/invitations", invited, token=people.jo.access))["code"]
    new = {"code": code, "name": "Mallory", "password": PASSWORD}
    for more in ({"role": "owner"}, {"roles": ["owner"]}, {"email": "jo@example.org"}, {"account": people.jo.account}):
        assert hull.ask("POST", "/v1/accounts", {**new, **more}).status == 400
    made = good(hull.ask("POST", "/v1/accounts", new))
    assert (made["roles"], made["email"]) == (["viewer"], "mallory@example.org")
    token = made["access"]
    assert hull.ask("PUT", f"/v1/members/{made['account']}", {"role": "owner"}, token=token).status == 403
    assert hull.ask("PUT", "/v1/profile", {"name": "Mallory", "operator": True}, token=token).status == 400
    shown = good(hull.ask("PUT", "/v1/profile", {"name": "Mallory"}, token=token))
    assert (shown["operator"], shown["email"]) == (False, "mallory@example.org")


def test_nobody_gives_away_what_he_does_not_have(hull: Hull, people: People) -> None:
    admin, viewer = people.by_role["admin"], people.by_role["viewer"]
    expires = 1 << 51
    assert (
        hull.ask("POST", "/v1/invitations", {"email": "o@example.org", "role": "owner"}, token=admin.access).status
        == 403
    )
    assert hull.ask("PUT", f"/v1/members/{admin.account}", {"role": "owner"}, token=admin.access).status == 403
    assert hull.ask("PUT", f"/v1/members/{people.jo.account}", {"role": "viewer"}, token=admin.access).status == 403
    for permission in ("scans.run", "members.manage", "workspaces.create", "*", "owner", ""):
        new = {"name": "x", "permissions": [permission], "expires": expires}
        assert hull.ask("POST", "/v1/tokens", new, token=viewer.access).status in {400, 403}, permission
    for expires in (0, -1, 1 << 62, 1 << 70):
        new = {"name": "x", "permissions": ["read"], "expires": expires}
        assert hull.ask("POST", "/v1/tokens", new, token=viewer.access).status == 400, expires


def test_an_id_in_a_body_does_not_count_where_the_path_has_it(hull: Hull, people: People) -> None:
    viewer, analyst = people.by_role["viewer"], people.by_role["analyst"]
    body = {"account": viewer.account, "role": "viewer"}
    assert hull.ask("PUT", f"/v1/members/{analyst.account}", body, token=people.jo.access).status == 400
    raw = b'{"role": "viewer", "role": "admin"}'
    reply = hull.ask("PUT", f"/v1/members/{viewer.account}?account={analyst.account}", raw, token=people.jo.access)
    assert reply.status == 400
    roles = {each["email"]: each["role"] for each in good(hull.ask("GET", "/v1/members", token=people.jo.access))}
    assert (roles[viewer.email], roles[analyst.email]) == ("viewer", "analyst")
