"""Whom each server of a fleet lets in: a user for each service, who sees its own and nothing of its neighbours'."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.cli.fleet.access import token_of
from services.cli.fleet.infra import USER
from services.cli.fleet.ports import HOST, Ports
from services.cli.fleet.secrets import Secrets
from services.cli.rendering.jobs import secrets_of
from services.kernel.bus.permissions import Rights, permissions
from services.kernel.cache.redis_users import acl_line
from services.kernel.calls import Entry
from services.kernel.messages import message_type
from services.kernel.principals import write_private_key, write_public_key
from services.kernel.server import Server
from services.kernel.service import Handles, Service, load
from services.kernel.streams import consumers_of, stream_of, streams_of

#: What the keys and services of a fleet begin with in Consul, and what it keeps in the stores.
NAMESPACE: Final = "mirage"
#: The one user that the community's server of the graph has.
GRAPH_USER: Final = "neo4j"


def urls(service: str, password: str, ports: Ports) -> dict[str, str]:
    """Where a service finds each server, as its settings say it."""
    login = f"{service}:{password}@{HOST}"
    consul = f"consul://:{token_of(password)}@{HOST}:{ports.consul}/{NAMESPACE}"
    mongo = f"mongodb://{HOST}:{ports.mongodb}/{NAMESPACE}_{service}"
    return {
        "sql": f"postgresql://{login}:{ports.postgresql}/{service}",
        "bus": f"nats://{login}:{ports.nats}",
        "cache": f"redis://{login}:{ports.redis}/{service}",
        "documents": mongo,
        "blobs": mongo,
        "search": f"elasticsearch://{HOST}:{ports.elasticsearch}/{NAMESPACE}-{service}",
        "graph": f"neo4j://{GRAPH_USER}:{password}@{HOST}:{ports.neo4j}",
        "directory": consul,
        "values": consul,
        "locks": consul,
        "scheduler": f"nomad://{HOST}:{ports.nomad}",
    }


def settings_of(service: Service, secrets: Secrets, ports: Ports, *, public: str, proxy: str = "") -> dict[str, str]:
    """What the Nomad variable of a service's job has: its settings that are secret, or that no other service has."""
    known = urls(service.name, secrets.services[service.name], ports)
    known |= {"master_key": secrets.master_key, "proxy": proxy, "public": public}
    seeds = {name: bytes.fromhex(each) for name, each in secrets.signing.items()}
    known |= {"signing_keys": write_private_key(service.name, seeds[service.name])}
    known |= {"peers": ",".join(write_public_key(name, seed) for name, seed in sorted(seeds.items()))}
    return {name: known[name] for name in secrets_of(service)}


def rights_of(service: Service) -> Rights:
    """What a service does on the bus, and so what its user there may do."""
    handled = tuple[Handles, ...](load(service.consumers)) if service.consumers else ()
    return Rights(
        publishes=[_subjects(service.name, message) for message in service.publishes],
        streams=streams_of([service]),
        consumers=consumers_of({service.name: handled}),
        follows=sorted({stream_of(message) for message in service.follows}),
    )


def _subjects(service: str, message: type[Struct]) -> str:
    """Where a service publishes a message; entries for the audit trail in its own name alone."""
    of_itself = f"{service}." if issubclass(message, Entry) else ""
    return f"{message_type(message)}.{of_itself}>"


def nats_authorization(services: Sequence[Service], secrets: Secrets) -> str:
    """The part of a NATS configuration that names its users."""
    users: list[dict[str, Any]] = [{"user": USER, "password": secrets.admin}]
    for service in services:
        if "bus" in service.needs:
            rights = permissions(service.name, rights_of(service))
            users.append({"user": service.name, "password": secrets.services[service.name], "permissions": rights})
    return f"authorization {msgspec.json.encode({'users': users}).decode()}"


def redis_users(services: Sequence[Service], secrets: Secrets, ports: Ports) -> list[str]:
    """The ACL file of Redis, by its lines."""
    lines = ["user default off", f"user {USER} on >{secrets.admin} ~* &* +@all"]
    for service in services:
        if "cache" in service.needs:
            url = urls(service.name, secrets.services[service.name], ports)["cache"]
            lines.append(acl_line(Server.parse(url)))
    return lines


def secrets_of_infra(services: Sequence[Service], secrets: Secrets, ports: Ports) -> Mapping[str, dict[str, str]]:
    """What the Nomad variable of each infrastructure job has."""
    login = {"user": USER, "password": secrets.admin}
    return {
        "nats": {**login, "authorization": nats_authorization(services, secrets)},
        "redis": {**login, "acl": "\n".join(redis_users(services, secrets, ports))},
        "postgresql": login,
        "mongodb": login,
        "elasticsearch": {"user": "elastic", "password": secrets.admin},
        # The community's server has one user, who is correlation.
        "neo4j": {"user": GRAPH_USER, "password": secrets.services["correlation"]},
    }
