"""Consul and Nomad for the tests, configured as a fleet's own are: three agents that end, and what they run with them.

Allocations outlive the agents. A keeper outlives the test run and ends them with it, however that ends: `keeper`.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from services.cli.fleet import agent_files as files
from services.cli.fleet import leftovers, programs
from services.cli.fleet.agent_files import AGENTS, CLIENT, CONSUL, SERVER
from services.cli.fleet.ports import Ports
from tests.servers.running import ROOT, Kind, Server, answers

#: Ends what is left of a cluster when the test run does. usage: FIFO FOLDER
KEEPER: Final = """
import shutil, sys
from pathlib import Path
from services.cli.fleet import leftovers
with open(sys.argv[1], "rb") as held:
    print("ready", flush=True)
    sys.stdout.close()
    held.read()
leftovers.end(Path(sys.argv[2]), grace=0)
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""


def _agent(name: str, program: str, path: str) -> Kind:
    def command(server: Server) -> list[str]:
        config = server.folder.parent / f"{name}.json"
        return [str(part) for part in files.command(name, programs.find(program), config)]

    return Kind(name, lambda: str(programs.find(program)), command, answers(path), program + "://127.0.0.1:{port}")


KINDS: Final = {
    CONSUL: _agent(CONSUL, "consul", "/v1/status/leader"),
    SERVER: _agent(SERVER, "nomad", "/v1/status/leader"),
    CLIENT: _agent(CLIENT, "nomad", "/v1/agent/health?type=client"),
}


def keep(fifo: Path, folder: Path, log: Path) -> None:
    """See to it that all that belongs to the fleet in ``folder`` ends, and the folder too, when ``fifo`` is let go."""
    with log.open("ab") as said:
        keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPER, str(fifo), str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
    assert keeper.stdout is not None
    with keeper.stdout:
        assert keeper.stdout.readline() == b"ready\n"
    keeper.returncode = 0  # it is to end after us


class Cluster(Server):
    """Consul, Nomad's server and its client in one folder; ``port`` and ``url`` are of Nomad's server.

    ``agents`` has each by its name (``consul``, ``nomad-server``, ``nomad-client``), to be killed, held and restarted.
    """

    PORTS = len(Ports.__struct_fields__)

    def __init__(self, kind: Kind, folder: Path, fifo: Path, ports: tuple[int, ...] = ()) -> None:
        super().__init__(kind, folder, fifo, ports)
        self.named = Ports.of(self.ports)
        listens = {CONSUL: self.named.consul, SERVER: self.named.nomad, CLIENT: self.named.client}
        environ = files.environment(folder)
        self.agents = {
            name: Server(KINDS[name], folder / "agents" / name, fifo, (port,), environ)
            for name, port in listens.items()
        }

    @property
    def port(self) -> int:
        return self.named.nomad

    @property
    def consul_url(self) -> str:
        return self.agents[CONSUL].url

    def start(self, *, wait: bool = True) -> None:
        agents = self.folder / "agents"
        agents.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        for name in AGENTS:
            (agents / f"{name}.json").write_text(json.dumps(files.configuration(name, self.named, agents / name)))
        keep(self._fifo, self.folder, self.log)
        for agent in self.agents.values():
            agent.start(wait=wait)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until there is a node that takes jobs."""
        for agent in self.agents.values():
            agent.wait()
        ready = answers("/v1/nodes?filter=Status==ready")
        end = time.monotonic() + 60
        while not ready(self):
            assert time.monotonic() < end, self.agents[CLIENT].log.read_text()[-3000:]
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        for agent in self.agents.values():
            agent.signal(number)

    def stop(self) -> None:
        """End the agents in order; what they run goes on."""
        for agent in reversed(self.agents.values()):
            agent.stop()

    def kill(self) -> None:
        """End everything at once, what the cluster runs as well."""
        for agent in self.agents.values():
            agent.kill()
        leftovers.end(self.folder, grace=0)

    def leave(self) -> None:
        for agent in self.agents.values():
            agent.leave()
