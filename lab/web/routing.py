"""Who answers: by the address a connection came to and the host name it asks for."""

from datetime import UTC, datetime
from hashlib import sha256

from msgspec import Struct

from lab.providers import Provider
from lab.web.certificates import AUTHORITY, BEGIN
from lab.world import Certificate, Host, Stranger, Wildcard, World

PROVIDER_NETWORK = "192.0.2."
FIRST_PROVIDER = 60


class Target(Struct, frozen=True, kw_only=True):
    """Who a request is for; nothing set means the default of the address."""

    host: str
    providers: tuple[Provider, ...] = ()
    site: Host | None = None
    wildcard: Wildcard | None = None
    stranger: Stranger | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of faults that concern it."""
        return (*(provider.id for provider in self.providers), self.host)


class Routing:
    """The names and addresses of everyone who answers over TCP."""

    def __init__(self, world: World, providers: dict[str, Provider]) -> None:
        self.world = world
        self._providers: dict[str, list[Provider]] = {}
        for _, provider in sorted(providers.items()):
            for host in provider.hosts:
                self._providers.setdefault(host, []).append(provider)
        self.provider_addresses = {
            host: f"{PROVIDER_NETWORK}{FIRST_PROVIDER + number}" for number, host in enumerate(sorted(self._providers))
        }
        self._provider_hosts = {ip: host for host, ip in self.provider_addresses.items()}
        self._strangers = {stranger.name: stranger for stranger in world.strangers}
        self._wildcards = {wildcard.owner[2:]: wildcard for wildcard in world.wildcards}
        self._certificates = {certificate.id: certificate for certificate in world.certificates}
        self._targets: dict[tuple[str, str], Target] = {}

    def find(self, ip: str, host: str) -> Target:
        """Who answers at `ip` for `host` (lower case, no port)."""
        kept = self._targets.get((ip, host))
        if kept is None:
            kept = self._look(ip, host)
            if len(self._targets) < 1 << 16:
                self._targets[ip, host] = kept
        return kept

    def _look(self, ip: str, host: str) -> Target:
        if self.provider_addresses.get(host) == ip:
            return Target(host=host, providers=tuple(self._providers[host]))
        known = self.world.host(host)
        if known and ip in known.addresses:
            return Target(host=host, site=known if known.site else None)
        stranger = self._strangers.get(host)
        if stranger and stranger.address == ip:
            return Target(host=host, stranger=stranger)
        wildcard = self._wildcards.get(host.partition(".")[2])
        return Target(host=host, wildcard=wildcard if wildcard and ip in wildcard.addresses else None)

    def provider_host(self, ip: str) -> str:
        """The host name of the provider at `ip`, or an empty string."""
        return self._provider_hosts.get(ip, "")

    def ports(self, host: str) -> tuple[int, ...]:
        """The TCP ports of a provider's host."""
        providers = self._providers[host]
        web = (80, 443) if any(provider.answer for provider in providers) else ()
        return (*web, 43) if any(provider.whois for provider in providers) else web

    def certificate(self, ip: str, host: str) -> Certificate:
        """What is presented at `ip` to a client that asks for `host` (empty: it does not say)."""
        target = self.find(ip, host)
        if target.providers:
            return bare_certificate(host)
        if target.site and target.site.site and target.site.site.certificate:
            return self._certificates[target.site.site.certificate]
        if target.wildcard:
            return self._certificates[target.wildcard.owner]
        if host in self._certificates and target.stranger:
            return self._certificates[host]
        return self._default_certificate(ip)

    def _default_certificate(self, ip: str) -> Certificate:
        """That of the first site at the address; the provider's; or one that only names the address."""
        if host := self.provider_host(ip):
            return bare_certificate(host)
        address = self.world.address(ip)
        for name in address.hosts if address else ():
            known = self.world.host(name)
            if known and known.site and known.site.certificate:
                return self._certificates[known.site.certificate]
            if name in self._certificates:
                return self._certificates[name]
        for wildcard in self.world.wildcards:
            if ip in wildcard.addresses:
                return self._certificates[wildcard.owner]
        return bare_certificate(ip)


def bare_certificate(name: str) -> Certificate:
    """A certificate for one name that the world does not list."""
    return Certificate(
        id=f"bare {name}",
        subject=name,
        names=(name,),
        serial=int(sha256(name.encode()).hexdigest()[:30], 16),
        not_before=BEGIN,
        not_after=datetime(2049, 11, 20, tzinfo=UTC),
        issuer=AUTHORITY,
    )
