"""Jobs of a few lines for a real Nomad."""

from collections.abc import Callable

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
