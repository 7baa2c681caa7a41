"""Names and addresses while a world is being made; frozen into `lab.world` at the end."""

from dataclasses import dataclass, field

from lab.generate.names import PlannedName
from lab.world import Owner, Page, Port, Record, Technology, Way


@dataclass(slots=True)
class SiteDraft:
    """A web site in the making; `links` and `script` are what others are revealed by."""

    title: str
    technologies: tuple[Technology, ...]
    status: int = 200
    redirect: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    connects: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    script: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    robots: list[str] = field(default_factory=list)
    sitemap: list[str] = field(default_factory=list)
    icon: str = ""
    certificate: str | None = None


@dataclass(slots=True)
class NameDraft:
    name: str
    planned: PlannedName
    addresses: list[str] = field(default_factory=list)
    cname: str | None = None
    site: SiteDraft | None = None
    ways: list[Way] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.name.split(".")[0]


@dataclass(slots=True)
class AddressDraft:
    ip: str
    owner: Owner
    asn: int
    country: str
    city: str
    hosts: list[str] = field(default_factory=list)
    ports: dict[int, Port] = field(default_factory=dict)
    ptr: str | None = None
    listed: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    vulnerabilities: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """The whole world in the making."""

    domain: str
    names: dict[str, NameDraft] = field(default_factory=dict)
    addresses: dict[str, AddressDraft] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    sans: dict[str, list[str]] = field(default_factory=dict)

    def fqdn(self, name: str) -> str:
        return f"{name}.{self.domain}" if name else self.domain

    def record(self, owner: str, kind: str, value: str, ttl: int = 300) -> None:
        self.records.append(Record(owner=owner, type=kind, value=value, ttl=ttl))
