"""Microsoft's sign-in service tells whether a domain belongs to a tenant of Entra ID: the tenant's id, region and
brand, and who logs its users in. It is asked for the domain, as every sign-in page does, and learns that somebody
asked; the organisation learns nothing.
"""

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from services.collector.archetypes.documents import refusal, refuse_pages
from services.collector.archetypes.names import any_name, name_below
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.urls import host_in
from services.collector.context import Answer, Context, HttpAnswer, ParseError
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Absence, Claim, Entity

MANIFEST = Manifest(
    id="microsoft_tenant",
    version=1,
    title="Microsoft Entra tenants",
    activity="passive",
    source="https://login.microsoftonline.com/",
    format="https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc",
    consumes=("domain",),
    produces=("cloud_tenant", "domain", "hostname", "uses"),
    hosts=("login.microsoftonline.com",),
    rate=2.0,
    cost=2.0,
    freshness=604_800,
    timeout=60.0,
    licence="public sign-in endpoint",
)

LOGIN = "https://login.microsoftonline.com"
# Codes of "no such tenant" and "no name of a tenant" (https://learn.microsoft.com/en-us/entra/identity-platform/
# reference-error-codes).
NO_TENANT = ("AADSTS90002", "AADSTS900023", "AADSTS90013")
_tenant = re.compile(r"https://[a-z0-9.-]+/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?:/|$)").match


class Configuration(Struct):
    issuer: str
    tenant_region_scope: str | None = None
    tenant_region_sub_scope: str | None = None
    cloud_instance_name: str | None = None


class Failure(Struct):
    error: str
    error_description: str = ""


class Realm(Struct, rename="pascal"):
    name_space_type: str
    federation_brand_name: str | None = None
    auth_url: str | None = field(name="AuthURL", default=None)


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    answer = await ctx.http.get(
        f"{LOGIN}/{quote(seen.value, safe='')}/v2.0/.well-known/openid-configuration", statuses=(200, 400)
    )
    refuse_pages(answer)
    if answer.status == 400:
        if not has_no_tenant(answer):
            raise refusal(answer)
        yield answer
        return
    realm = await ctx.http.get(
        f"{LOGIN}/getuserrealm.srf", {"login": f"user@{seen.value}", "json": "1"}, statuses=(200,)
    )
    refuse_pages(realm)
    # The second document has no tenant in it, so the two are read together.
    yield msgspec.structs.replace(
        answer, records=answer.records + realm.records, body=b"[%b,%b]" % (answer.body, realm.body)
    )


def has_no_tenant(answer: HttpAnswer) -> bool:
    """Whether the failure says that nobody holds the domain there."""
    try:
        failure: Failure = answer.json(Failure)
    except ParseError:
        return False
    return failure.error_description.startswith(NO_TENANT)


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status == 400:
        yield Absence(seen, "uses")
        return
    configuration, realm = answer.json(tuple[Configuration, Realm])
    issuer = _tenant(configuration.issuer)
    tenant = sound(entities.cloud_tenant, "microsoft", issuer[1]) if issuer else None
    if tenant is None:
        raise ParseError(f"{answer.url}: no tenant in the issuer")
    yield relations.uses(seen, tenant)
    parts = (configuration.tenant_region_scope, configuration.tenant_region_sub_scope)
    login = any_name(host_in(realm.auth_url)) if realm.auth_url else None
    yield from described(
        tenant,
        issuer_url=configuration.issuer,
        tenant_region=", ".join(part for part in parts if part),
        tenant_cloud=configuration.cloud_instance_name,
        tenant_kind=realm.name_space_type,
        tenant_brand=realm.federation_brand_name,
        federation_host=[login.value] if login else None,
    )
    if login is not None and name_below(login.value, seen) is not None:
        yield login
