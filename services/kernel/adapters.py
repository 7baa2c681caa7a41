"""Which adapter each port has in a process: the server that a setting names, or a file of the data folder.

A service cannot tell which it is. Clients of servers are imported when one is opened: a laptop has none of them.
"""

from typing import Any, Final

from services.kernel.errors import Invalid
from services.kernel.folder import BUS, CACHE, EVIDENCE, MASTER_KEY, Folder
from services.kernel.server import Server, Trust
from services.kernel.service import Service
from services.kernel.settings import Settings

#: The ports that all services of a process share; each service has the others for itself.
SHARED: Final = ("bus", "cache", "directory", "egress", "values", "locks", "seal")
#: The kind of server that the setting of a port may name.
KINDS: Final = {
    "sql": "postgresql",
    "bus": "nats",
    "documents": "mongodb",
    "blobs": "mongodb",
    "search": "elasticsearch",
    "graph": "neo4j",
    "cache": "redis",
    "directory": "consul",
    "values": "consul",
    "locks": "consul",
    "scheduler": "nomad",
}
#: Of those, what is kept in the process itself where it has no server.
IN_PROCESS: Final = frozenset({"directory", "values", "locks"})


class Adapters:
    """Opens the ports of a process; nothing is connected before it is used."""

    def __init__(self, settings: Settings, folder: Folder) -> None:
        self._settings = settings
        self._folder = folder

    def need_folder(self, services: tuple[Service, ...]) -> bool:
        """Whether these services keep something in the data folder."""
        needed = {port for service in services for port in service.needs}
        if "seal" in needed and not self._settings.master_key:
            return True
        return any(not getattr(self._settings, port) for port in needed & KINDS.keys() - IN_PROCESS)

    def open(self, port: str, service: Service) -> Any:
        """One more adapter; the shared ones (`SHARED`) are opened once, in the name of any service.

        Raises:
            Invalid: there is no such port, or its setting names no server of its kind.
        """
        if port == "egress":
            return open_egress(self._settings)
        if port == "seal":
            return self._open_seal()
        if port not in KINDS:
            raise Invalid(f"the service {service.name} needs {port}, and there is no such port")
        url: str = getattr(self._settings, port)
        if not url:
            return _open_embedded(port, service, self._folder)
        return _open_on_server(port, self._server(port, url), self._settings)

    def _server(self, port: str, url: str) -> Server:
        trust = Trust(self._settings.tls_ca, self._settings.tls_cert, self._settings.tls_key)
        try:
            return Server.parse(url, (KINDS[port],), trust)
        except Invalid as error:
            raise Invalid(f"the setting {port}: {error}") from error

    def _open_seal(self) -> Any:
        from services.kernel.seal import Seal, key_of_folder

        return Seal(self._settings.master_key or key_of_folder(self._folder.path / MASTER_KEY))


def open_egress(settings: Settings) -> Any:
    """The way out of a process."""
    from services.kernel.egress import DialTable, Direct, Egress, Guard, Proxy

    try:
        table = DialTable.read(settings.dial_table) if settings.dial_table else None
        proxy = Proxy.parse(settings.proxy) if settings.proxy else None
    except (OSError, ValueError) as error:
        raise Invalid(f"the way out is not set up: {error}") from error
    return Egress(Guard(), table, proxy, Direct.parse(settings.no_proxy))


def _open_embedded(port: str, service: Service, folder: Folder) -> Any:
    if port in IN_PROCESS:
        return _open_in_process(port)
    name = service.name
    match port:
        case "sql":
            from services.kernel.sql.sqlite import SqliteSql

            return SqliteSql(folder.path / f"{name}.db", cache_kib=1024 * service.cache_mib)
        case "bus":
            from services.kernel.bus.sqlite import SqliteBus

            return SqliteBus(folder.path / BUS)
        case "documents":
            from services.kernel.documents.sqlite import SqliteDocuments

            return SqliteDocuments(folder.path / f"{name}-documents.db")
        case "blobs":
            from services.kernel.blobs.segments import SegmentBlobs

            return SegmentBlobs(folder.path / EVIDENCE)
        case "search":
            from services.kernel.search.fts import FtsSearch

            return FtsSearch(folder.path / f"{name}-search.db")
        case "graph":
            from services.kernel.graph.sqlite import SqliteGraph

            return SqliteGraph(folder.path / f"{name}-graph.db")
        case "cache":
            from services.kernel.cache.sqlite import SqliteCache

            return SqliteCache(folder.path / CACHE)
        case _:
            raise Invalid(f"the service {name} needs a {port} (MIRAGE_{port.upper()})")


def _open_in_process(port: str) -> Any:
    match port:
        case "values":
            from services.kernel.values.local import LocalValues

            return LocalValues()
        case "locks":
            from services.kernel.locks.local import LocalLocks

            return LocalLocks()
        case _:
            from services.kernel.directory.local import LocalDirectory

            return LocalDirectory()


def _open_on_server(port: str, server: Server, settings: Settings) -> Any:
    connections = settings.connections
    if server.kind in {"consul", "nomad"}:
        return _open_on_agent(port, server)
    match port:
        case "sql":
            from services.kernel.sql.postgres import PostgresSql

            return PostgresSql(server, connections=connections)
        case "bus":
            from services.kernel.bus.jetstream import JetStreamBus

            return JetStreamBus(server, replicas=settings.replicas)
        case "documents":
            from services.kernel.documents.mongo import MongoDocuments

            return MongoDocuments(server, calls=connections)
        case "blobs":
            from services.kernel.blobs.mongo import MongoBlobs

            return MongoBlobs(server, calls=connections)
        case "search":
            from services.kernel.search.elastic import ElasticsearchSearch

            return ElasticsearchSearch(server, connections=connections)
        case "graph":
            from services.kernel.graph.neo4j import Neo4jGraph

            return Neo4jGraph(server, pool=connections)
        case _:
            from services.kernel.cache.redis import RedisCache

            return RedisCache(server, connections=connections)


def _open_on_agent(port: str, server: Server) -> Any:
    match port:
        case "values":
            from services.kernel.values.consul import ConsulValues

            return ConsulValues(server)
        case "locks":
            from services.kernel.locks.consul import ConsulLocks

            return ConsulLocks(server)
        case "scheduler":
            from services.kernel.scheduler.nomad import Nomad

            return Nomad(server)
        case _:
            from services.kernel.directory.consul import ConsulDirectory

            return ConsulDirectory(server)
