"""Jobs of a few lines on a Nomad that the whole run shares: each test has jobs, paths and ports of its own."""

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from services.kernel.errors import NotFound
from services.kernel.scheduler.nomad import Nomad
from services.kernel.server import Server
from tests.servers.running import Server as Running

JOB = """
variable "count" {
  type    = number
  default = 1
}

variable "text" {
  type    = string
  default = "hello"
}

job "JOB" {
  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "20s"
    progress_deadline = "30s"
    max_parallel      = 5
  }

  group "web" {
    count = var.count

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    network {
      port "http" {}
    }

    task "main" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "SCRIPT", "sh", var.text]
      }

      resources {
        cpu    = 20
        memory = MEMORY
      }
    }
  }
}
"""

Hcl = Callable[..., str]


def job(name: str, script: str = "echo $1; exec sleep 600", *, memory: int = 16) -> str:
    return JOB.replace("JOB", name).replace("SCRIPT", script).replace("MEMORY", str(memory))


@pytest.fixture(scope="session")
def cluster(shared_server: Callable[[str], Running]) -> Running:
    return shared_server("nomad")


@pytest.fixture
async def nomad(cluster: Running) -> AsyncIterator[Nomad]:
    opened = Nomad(Server.parse(cluster.url))
    yield opened
    await opened.close()


@pytest.fixture
async def name(nomad: Nomad) -> AsyncIterator[str]:
    """The id of a job that this test alone has; it ends with it."""
    made = f"test-{uuid4().hex[:8]}"
    yield made
    try:
        await nomad.stop(made, purge=True)
    except NotFound:
        return
