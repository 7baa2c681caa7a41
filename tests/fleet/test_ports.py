"""The ports of a fleet are looked at before it has them."""

import socket

import pytest
from msgspec import structs

from services.cli.fleet.ports import HOST, Ports, free_ports, refuse_taken
from services.kernel.errors import Conflict


def test_a_port_that_another_program_has_is_named_with_what_it_is_for() -> None:
    ports = Ports.free()
    refuse_taken(ports)
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=rf"port {port}, which redis is to have, .* --free-ports"):
            refuse_taken(structs.replace(ports, redis=port))
        refuse_taken(structs.replace(ports, neo4j=port), {"neo4j"})


def test_free_ports_are_not_the_same_twice() -> None:
    assert len(set(free_ports(200))) == 200
