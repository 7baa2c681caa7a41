"""What can be set of services while they run: a Struct a service, whose defaults hold where nothing is set.

A value of another form is refused where it is set, and skipped by who reads it: what held before goes on to hold.
"""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=1, le=86_400)]
Amount = Annotated[int, Meta(ge=0, le=2**53)]
Resolver = Annotated[
    str,
    Meta(pattern=r"^[0-9A-Fa-f.:\[\]]{2,64}$", description="An address, with a port or without, as 192.0.2.53."),
]
ProviderName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="Small letters, digits and _, 32 at most, a letter at the beginning, as acme.",
    ),
]
#: A domain of addresses of people, in small letters.
MailDomain = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+$",
        max_length=253,
        description="A domain in small letters, as example.org.",
    ),
]
#: Where pages come from (RFC 6454): a browser shows passkeys to no others than to https and its own machine.
Origin = Annotated[
    str,
    Meta(
        pattern=r"^(https://[a-z0-9.-]{1,253}|http://localhost)(:[1-9][0-9]{0,4})?$",
        description="An origin of pages, as https://mirage.example or http://localhost:8080.",
    ),
]
HttpsUrl = Annotated[
    str,
    Meta(pattern=r"^https://[A-Za-z0-9._~:/@%+-]{1,500}$", description="An https address, as https://login.example."),
]


class ServiceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of every service. ``log``: the least level that is logged."""

    log: Literal["debug", "info", "warning", "error", "critical"] = "info"


class CollectorSettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``resolvers``: ``address[:port]`` of those that scans ask which name none; empty: as it was started.

    ``items_at_once``: of one module, that a collector works on, if fewer than its manifest says; 0: as that says.
    """

    resolvers: Annotated[tuple[Resolver, ...], Meta(max_length=32)] = ()
    items_at_once: Annotated[int, Meta(ge=0, le=1000)] = 0


class LoginProvider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID provider at which people may log in; its client secret is the provider key ``oidc_<name>``.

    ``issuer``: as the provider calls itself. ``client_id``: what Mirage is called there. ``title``: what people are
    shown instead of its name. ``scopes``: what is asked for, beside ``openid``. ``admits``: the domains of whose
    addresses people may come; empty: of all. ``domains``: those whose addresses the provider itself gives out, so that
    who comes with one is whose account has it, where that was seen to be its person's. ``registers``: whether who
    comes with one of these gets an account, where he has none; he belongs to no workspace until somebody invites him.
    """

    issuer: HttpsUrl
    client_id: Annotated[str, Meta(min_length=1, max_length=500)]
    title: Annotated[str, Meta(max_length=100)] = ""
    scopes: Annotated[tuple[Annotated[str, Meta(pattern=r"^[!-~]{1,100}$")], ...], Meta(max_length=20)] = (
        "email",
        "profile",
    )
    admits: Annotated[tuple[MailDomain, ...], Meta(max_length=100)] = ()
    domains: Annotated[tuple[MailDomain, ...], Meta(max_length=100)] = ()
    registers: bool = False

    def __post_init__(self) -> None:
        if self.registers and not self.domains:
            raise ValueError("a provider registers people of its own domains only, and has none")


class AuthSettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``origins``: from where people log in by pages; passkeys are good below the host of the first one, for ever.

    ``providers``: by the names that people log in with. ``redirects``: addresses to which a provider may send people
    back, beside those of programs on their own machines.
    """

    origins: Annotated[tuple[Origin, ...], Meta(min_length=1, max_length=20)] = ("http://localhost:8080",)
    providers: Annotated[dict[ProviderName, LoginProvider], Meta(max_length=20)] = {}
    redirects: Annotated[tuple[HttpsUrl, ...], Meta(max_length=20)] = ()

    def __post_init__(self) -> None:
        hosts = [urlsplit(each).hostname or "" for each in self.origins]
        if strangers := [each for each in hosts if each != hosts[0] and not each.endswith(f".{hosts[0]}")]:
            raise ValueError(f"passkeys of {hosts[0]} are not shown to {strangers[0]}: name the shorter host first")


class Scale(Struct, frozen=True, forbid_unknown_fields=True):
    """How many instances a service has: at least and at most; the same number twice fixes it."""

    least: Annotated[int, Meta(ge=0, le=1000)]
    most: Annotated[int, Meta(ge=0, le=1000)]

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError(f"at least {self.least} and at most {self.most} instances cannot be")


class DiscoverySettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``scale``: by service, within what its declaration says.

    Seconds: of work that may wait before more instances are begun (``behind``), from one change to the next
    (``settles``), and for which fewer must have done before one is ended (``lingers``).
    """

    scale: dict[str, Scale] = {}
    behind: Seconds = 20.0
    settles: Seconds = 20.0
    lingers: Seconds = 120.0


class Quota(Struct, frozen=True, forbid_unknown_fields=True):
    """So many requests at once, and as many again within ``seconds``: what is used comes back evenly."""

    requests: Annotated[int, Meta(ge=10, le=1_000_000)]
    seconds: Annotated[int, Meta(ge=1, le=3600)]


class GatewaySettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked: by one session of a person, by one token of a script, and from one address (of IPv6, a /64)
    by all who are not known there, together.
    """

    people: Quota = Quota(3000, 10)
    scripts: Quota = Quota(3000, 10)
    strangers: Quota = Quota(1200, 60)


class UsersSettings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a workspace may use for which an operator has said nothing else; None: as much as there is.

    ``scans``: that run at once, ``items``: of work in a day, ``storage``: bytes of evidence.
    """

    scans: Amount | None = None
    items: Amount | None = None
    storage: Amount | None = None


#: By service: those that take over what is set while they run.
SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "auth": AuthSettings,
    "collector": CollectorSettings,
    "configuration": ServiceSettings,
    "discovery": DiscoverySettings,
    "gateway": GatewaySettings,
    "users": UsersSettings,
}
