"""The configuration files of the agents: one server of Consul, one of Nomad and one client of Nomad, all on loopback.

What Nomad's server and client know apart they share not: in one agent, tasks fail to set up after its restart.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.cli.fleet.leftovers import MARK
from services.cli.fleet.ports import HOST, Ports

CONSUL: Final = "consul"
SERVER: Final = "nomad-server"
CLIENT: Final = "nomad-client"
#: In the order in which they start.
AGENTS: Final = (CONSUL, SERVER, CLIENT)
#: What the agents, and so the tasks, take over from the environment; anything else in it stays where it is.
INHERITED: Final = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "JAVA_HOME", "JAVA_OPTS", "MIRAGE_SERVERS_CACHE"}
)
#: Clouds that are looked for at each start; with a bundle of certificates in the environment the client fails at it.
CLOUDS: Final = "env_aws,env_gce,env_azure,env_digitalocean"


def configuration(agent: str, ports: Ports, data: Path, token: str = "") -> dict[str, Any]:
    """What an agent reads, as JSON.

    ``data`` is the folder that it keeps everything in, ``token`` the operator's, as whom the agents talk;
    without one they let everybody in.
    """
    if agent == CONSUL:
        return _consul(ports, data, token)
    return _nomad_server(ports, data, token) if agent == SERVER else _nomad_client(ports, data, token)


def command(agent: str, program: Path, file: Path) -> list[str | Path]:
    """How an agent is started with its configuration file."""
    return [program, "agent", f"-config-file={file}" if agent == CONSUL else f"-config={file}"]


def environment(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the agents of the fleet in ``folder`` have as their environment; it marks all that they start."""
    return {**{name: value for name, value in environ.items() if name in INHERITED}, MARK: str(folder)}


def _consul(ports: Ports, data: Path, token: str) -> dict[str, Any]:
    return {
        "server": True,
        "bootstrap_expect": 1,
        "node_name": "mirage",
        "data_dir": str(data),
        "bind_addr": HOST,
        "client_addr": HOST,
        "ports": {
            "http": ports.consul,
            "server": ports.consul_rpc,
            "serf_lan": ports.consul_serf,
            "serf_wan": ports.consul_wan,
            "dns": -1,
            "grpc": -1,
            "grpc_tls": -1,
        },
        "performance": {"raft_multiplier": 1},
        "acl": {
            "enabled": bool(token),
            "default_policy": "deny",
            "tokens": {"initial_management": token, "agent": token} if token else {},
        },
        # Every process of a fleet on one machine comes from one address, and each holds a watcher for each name.
        "limits": {"http_max_conns_per_client": 5_000},
        "ui_config": {"enabled": True},
        "telemetry": {"prometheus_retention_time": "60s", "disable_hostname": True},
        "disable_update_check": True,
        "leave_on_terminate": False,
        "log_level": "INFO",
    }


def _nomad(ports: Ports, data: Path, token: str) -> dict[str, Any]:
    return {
        "data_dir": str(data),
        "bind_addr": HOST,
        "advertise": {"http": HOST, "rpc": HOST, "serf": HOST},
        "acl": {"enabled": bool(token)},
        "consul": [
            {
                "address": f"{HOST}:{ports.consul}",
                "token": token,
                "client_auto_join": False,
                "server_auto_join": False,
            }
        ],
        "limits": {"http_max_conns_per_client": 0},
        "telemetry": {
            "prometheus_metrics": True,
            "disable_hostname": True,
            "publish_allocation_metrics": True,
            "publish_node_metrics": True,
        },
        "disable_update_check": True,
        "leave_on_interrupt": False,
        "leave_on_terminate": False,
        "log_level": "INFO",
    }


def _nomad_server(ports: Ports, data: Path, token: str) -> dict[str, Any]:
    return {
        **_nomad(ports, data, token),
        "name": "mirage-server",
        "ports": {"http": ports.nomad, "rpc": ports.nomad_rpc, "serf": ports.nomad_serf},
        "server": {"enabled": True, "bootstrap_expect": 1, "raft_multiplier": 1},
        "ui": {"enabled": True, "consul": {"ui_url": f"http://{HOST}:{ports.consul}/ui"}},
    }


def _nomad_client(ports: Ports, data: Path, token: str) -> dict[str, Any]:
    return {
        **_nomad(ports, data, token),
        "name": "mirage",
        # It listens at the first one only.
        "ports": {"http": ports.client, "rpc": ports.client + 1, "serf": ports.client + 2},
        "client": {
            "enabled": True,
            "servers": [f"{HOST}:{ports.nomad_rpc}"],
            "network_interface": _loopback(),
            # A port that one who ends still holds at 127.0.0.1 would be given out again at ::1, where nothing listens.
            "host_network": [{"ipv6": [{"cidr": "::1/128", "reserved_ports": "1-65535"}]}],
            "options": {"fingerprint.denylist": CLOUDS},
            "max_kill_timeout": "2m",
        },
        "plugin": [{"raw_exec": [{"config": [{"enabled": True}]}]}],
    }


def _loopback() -> str:
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
