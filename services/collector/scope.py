"""What a module may touch for a work item: its manifest, its activity and the scan's scope decide."""

from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_network

from services.collector.context import Skipped
from services.collector.manifest import Manifest
from services.contracts.plan import Plan
from services.kernel.egress import Guard


@lru_cache(maxsize=64)
def guard_for(networks: tuple[str, ...]) -> Guard:
    """The guard of scans that allow these networks."""
    return Guard([ip_network(network) for network in networks])


class Permit:
    """The limits of one module in one scan.

    Every method returns when the thing is allowed and raises `Skipped` with the reason when it is not.
    """

    def __init__(self, manifest: Manifest, plan: Plan) -> None:
        self.manifest = manifest
        self.scope = plan.scope
        self.guard = guard_for(plan.scope.networks)
        self._active = manifest.activity == "active" and plan.authorisation is not None

    def host(self, host: str, *, literal: bool) -> None:
        """A host to talk to over HTTP: the source's own, or for active modules one inside the scope."""
        if self.manifest.hosts:
            if not any(fnmatchcase(host, pattern) for pattern in self.manifest.hosts):
                raise Skipped(f"{host} is not a host that {self.manifest.id} declares")
            if not literal and self.manifest.activity != "active" and self.scope.covers_name(host):
                raise Skipped(f"{host} is itself in the scope, and {self.manifest.id} is {self.manifest.activity}")
            return
        self._must_be_active()
        if literal:
            self.address(host, named=False)
        elif not self.scope.covers_name(host):
            raise Skipped(f"{host} is out of scope")

    def server(self, host: str) -> None:
        """A WHOIS server, which the manifest must name."""
        if not any(fnmatchcase(host, pattern) for pattern in self.manifest.hosts):
            raise Skipped(f"{host} is not a server that {self.manifest.id} declares")
        if self.manifest.activity != "active" and self.scope.covers_name(host):
            raise Skipped(f"{host} is itself in the scope, and {self.manifest.id} is {self.manifest.activity}")

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

    def _must_be_active(self) -> None:
        if not self._active:
            raise Skipped(f"{self.manifest.id} may not touch the target: this needs an authorisation")
