"""What a module may touch for a work item: its manifest, its activity and the scan's scope decide."""

from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from services.collector.context import Skipped
from services.collector.manifest import Manifest
from services.contracts.authorisations import Authorisation
from services.contracts.plan import Plan
from services.contracts.scope import Scope
from services.kernel.egress import Forbidden, Guard
from services.kernel.egress.guard import embedded, parse

#: Where sources answer. Some are named by others (RDAP), who could name any port of anybody.
PORTS_OF_SOURCES: Final = (80, 443)


class ScopeGuard(Guard):
    """The guard of a scan: it lets through networks that the scan allows, and never what the scope excludes.

    So that a name in the scope leads nowhere that was ruled out, whoever dials.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__([ip_network(network) for network in scope.networks])
        self._scope = scope

    def check(self, address: str) -> None:
        """As `Guard.check`."""
        super().check(address)
        for reading in self._readings(address):
            if self._scope.excludes_address(reading):
                raise Forbidden(address, "excluded from the scope")

    @staticmethod
    def _readings(address: str) -> list[str]:
        """An address and all that it carries inside."""
        parsed = parse(address)
        return [str(reading) for reading in (parsed, *embedded(parsed))]


class SourceGuard(ScopeGuard):
    """The guard of whoever asks third parties: it keeps away from the target too, by whatever name one is led there.

    Those of one scope are equal, for connections and answers are shared by guard.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceGuard) and (self._scope is other._scope or self._scope == other._scope)

    def __hash__(self) -> int:
        return hash((self._scope.targets[:1], self._scope.includes[:1], self._scope.excludes[:1]))

    def check(self, address: str) -> None:
        """As `Guard.check`."""
        super().check(address)
        for reading in self._readings(address):
            if self._scope.covers_address(reading):
                raise Forbidden(address, "it is in the scope, which only active modules touch")


@lru_cache(maxsize=64)
def guard_for(networks: tuple[str, ...], excludes: tuple[str, ...]) -> Guard:
    """The guard of scans with these rules; the same one each time, for connections are kept by it."""
    return ScopeGuard(Scope(networks=networks, excludes=excludes))


class Permit:
    """The limits of one module in one scan, for what is begun at an instant (UTC microseconds).

    Every method returns when the thing is allowed and raises `Skipped` with the reason when it is not.
    """

    def __init__(self, manifest: Manifest, plan: Plan, at: int) -> None:
        self.manifest = manifest
        self.scope = plan.scope
        self.guard = (
            guard_for(plan.scope.networks, plan.scope.excludes)
            if manifest.activity == "active"
            else SourceGuard(plan.scope)
        )
        self._refusal = _why_not_active(manifest, plan.authorisation, at)

    def host(self, host: str, port: int, *, literal: bool) -> None:
        """A host to talk to over HTTP: the source's own, or for active modules one inside the scope."""
        if self.manifest.hosts:
            self._third_party(host, literal=literal)
            if port not in PORTS_OF_SOURCES:
                raise Skipped(f"{host} is to be asked at port {port}, where no source is")
            return
        self._must_be_active()
        if literal:
            self.address(host, named=False)
        elif not self.scope.covers_name(host):
            raise Skipped(f"{host} is out of scope")

    def server(self, host: str) -> None:
        """A WHOIS server, which the manifest must name."""
        try:
            parse(host)
        except ValueError:
            self._third_party(host, literal=False)
        else:
            self._third_party(host, literal=True)

    def address(self, address: str, *, named: bool) -> None:
        """An address to touch: never an excluded one; without a name in the scope it must be in the scope itself."""
        self._must_be_active()
        if self.scope.excludes_address(address):
            raise Skipped(f"{address} is excluded from the scope")
        if not named and not self.scope.covers_address(address):
            raise Skipped(f"{address} is out of scope")

    def name_server(self, address: str) -> None:
        """A name server to ask itself."""
        self._must_be_active()
        if self.scope.excludes_address(address):
            raise Skipped(f"{address} is excluded from the scope")

    def _third_party(self, host: str, *, literal: bool) -> None:
        """A host that the manifest names, and that is not the target itself by another way."""
        if self.manifest.activity == "active":
            self._must_be_active()
        elif self.scope.covers_address(host) if literal else self.scope.covers_name(host):
            raise Skipped(f"{host} is itself in the scope, and {self.manifest.id} is {self.manifest.activity}")
        if not any(fnmatchcase(host, pattern) for pattern in self.manifest.hosts):
            raise Skipped(f"{host} is not a host that {self.manifest.id} declares")

    def _must_be_active(self) -> None:
        if self._refusal:
            raise Skipped(f"{self.manifest.id} may not touch the target: {self._refusal}")


def _why_not_active(manifest: Manifest, allowed: Authorisation | None, at: int) -> str:
    """Why a module may not touch the target; empty where it may."""
    if manifest.activity != "active" or allowed is None:
        return "this needs an authorisation"
    if not allowed.covers(manifest.id):
        return "this was not authorised"
    if allowed.is_to_come(at) or allowed.is_over(at):
        return "this is not authorised at this time"
    return ""
