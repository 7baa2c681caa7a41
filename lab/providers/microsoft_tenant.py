"""Microsoft's sign-in service: OpenID configuration and user realm of a domain
(https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc).
"""

from lab.providers import Provider, Request, Response, json
from lab.world import Tenant, World

CONFIGURATION = "/v2.0/.well-known/openid-configuration"
TRACE = "5d1f0a86-7a9e-4f04-9b4e-1d0c3a5a2b00"


def answer(world: World, request: Request) -> Response | None:
    tenant = world.organisation.tenant
    if request.path.lower() == "/getuserrealm.srf":
        login = request.parameter("login").lower()
        return json(realm(world, tenant, login, login.rpartition("@")[2]))
    if not request.path.endswith(CONFIGURATION):
        return None
    wanted = request.path.removesuffix(CONFIGURATION).strip("/").lower()
    return json(configuration(tenant)) if wanted in {*tenant.domains, str(tenant.id)} else no_tenant(world, wanted)


def configuration(tenant: Tenant) -> dict[str, object]:
    base = f"https://login.microsoftonline.com/{tenant.id}"
    return {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{base}/v2.0",
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
        "kerberos_endpoint": f"{base}/kerberos",
        "tenant_region_scope": tenant.region,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    }


def no_tenant(world: World, wanted: str) -> Response:
    """AADSTS90002, with status 400 as it really comes."""
    description = (
        f"AADSTS90002: Tenant '{wanted}' not found. Check to make sure you have the correct tenant ID and are signing "
        "into the correct cloud. Check with your subscription administrator, this may happen if there are no active "
        f"subscriptions for the tenant. Trace ID: {TRACE} Correlation ID: {TRACE} "
        f"Timestamp: {world.now:%Y-%m-%d %H:%M:%SZ}"
    )
    return json(
        {
            "error": "invalid_tenant",
            "error_description": description,
            "error_codes": [90002],
            "timestamp": f"{world.now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": TRACE,
            "correlation_id": TRACE,
            "error_uri": "https://login.microsoftonline.com/error?code=90002",
        },
        status=400,
    )


def realm(world: World, tenant: Tenant, login: str, domain: str) -> dict[str, object]:
    if domain not in tenant.domains:
        return {"State": 4, "UserState": 1, "Login": login, "NameSpaceType": "Unknown"}
    found: dict[str, object] = {
        "State": 4 if tenant.federation == "Managed" else 3,
        "UserState": 1 if tenant.federation == "Managed" else 2,
        "Login": login,
        "NameSpaceType": tenant.federation,
        "DomainName": domain,
        "FederationBrandName": tenant.brand,
        "CloudInstanceName": "microsoftonline.com",
        "CloudInstanceIssuerUri": "urn:federation:MicrosoftOnline",
    }
    if tenant.federation == "Federated":
        found["AuthURL"] = f"https://sts.{world.domain}/adfs/ls/?username={login}&wa=wsignin1.0"
    return found


PROVIDER = Provider(id="microsoft_tenant", hosts=("login.microsoftonline.com",), answer=answer)
