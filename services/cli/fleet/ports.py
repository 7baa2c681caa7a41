"""At which ports a fleet on this machine listens, all of them on loopback."""

import random
import socket
from collections.abc import Collection
from typing import Final, Self

from msgspec import Struct

from services.kernel.errors import Conflict

HOST: Final = "127.0.0.1"


class Ports(Struct, frozen=True, kw_only=True):
    """Of Consul: HTTP, RPC, gossip near and far; of Nomad: the same but for far, its client's HTTP; of the stores."""

    consul: int = 8500
    consul_rpc: int = 8300
    consul_serf: int = 8301
    consul_wan: int = 8302
    nomad: int = 4646
    nomad_rpc: int = 4647
    nomad_serf: int = 4648
    client: int = 5646
    nats: int = 4222
    nats_monitor: int = 8222
    postgresql: int = 5432
    mongodb: int = 27017
    elasticsearch: int = 9200
    redis: int = 6379
    neo4j: int = 7687
    prometheus: int = 9090

    @classmethod
    def of(cls, numbers: tuple[int, ...]) -> Self:
        """From as many numbers as there are ports, in their order."""
        return cls(**dict(zip(cls.__struct_fields__, numbers, strict=True)))

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens at now."""
        return cls.of(free_ports(len(cls.__struct_fields__)))


def refuse_taken(ports: Ports, spared: Collection[str] = ()) -> None:
    """See that nobody listens at any of them, those of the ``spared`` left out.

    Raises:
        Conflict: somebody does; the text says where.
    """
    for name in Ports.__struct_fields__:
        port = getattr(ports, name)
        if name not in spared and not _is_free(port):
            raise Conflict(f"port {port}, which {name} is to have, is taken by another program: see --free-ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens at, below those that Nomad (from 20000 on) and the system give away."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(10_000, 19_999)
        if port not in found and _is_free(port):
            found.append(port)
    return tuple(found)
