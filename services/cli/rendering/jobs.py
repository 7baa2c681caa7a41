"""The Nomad job of each service, as HCL: https://developer.hashicorp.com/nomad/docs/job-specification.

What differs between one machine and a cluster is a variable of the job; what is secret is a variable of Nomad, which
only the job itself can read.
"""

from collections.abc import Iterator
from string import Template
from typing import Final

from services.kernel.adapters import KINDS
from services.kernel.service import Service

#: What a job is called in Nomad, and its service in Consul: others may run there too.
PREFIX: Final = "mirage-"

_JOB: Final = Template("""\
# Rendered from services/$name/service.py by `mirage render`: change it there.

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec on one machine, docker on clusters (the image: jobs/image/)."
}

variable "mirage" {
  type        = string
  default     = "mirage"
  description = "With raw_exec: the command line of Mirage, on every node."
}

variable "image" {
  type        = string
  default     = "mirage:$version"
  description = "With docker."
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "count" {
  type    = number
  default = $least
}

variable "revision" {
  type        = string
  default     = ""
  description = "Of the code: another one is brought out; instances say it behind their version."
}

variable "settings" {
  type        = string
  default     = ""
  description = "A digest of all settings: others are brought out as another revision is, and may be taken back."
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "Settings of all instances that are not secret, as MIRAGE_…"
}

job "$job" {
  type        = "service"
  datacenters = var.datacenters

  meta {
    revision = var.revision
    settings = var.settings
  }

  # One new instance beside the old ones; they go when it is well, and come back when it does not get well.
  update {
    max_parallel      = 1
    canary            = 1
    auto_promote      = true
    auto_revert       = true
    health_check      = "checks"
    min_healthy_time  = "3s"
    healthy_deadline  = "2m"
    progress_deadline = "150s"
  }

  group "$name" {
    count = var.count

    scaling {
      enabled = true
      min     = $least
      max     = $most
    }

    network {
      port "http" {
      }
    }

    # For Nomad alone, which waits for it; the instance makes itself known to Consul when it is ready.
    service {
      name     = "$job"
      provider = "nomad"
      port     = "http"

      check {
        name     = "ready"
        type     = "http"
        path     = "/health/ready"
        interval = "2s"
        timeout  = "2s"
      }

      check {
        name     = "live"
        type     = "http"
        path     = "/health/live"
        interval = "5s"
        timeout  = "3s"

        # One that hangs is begun anew after a minute; where all are slow, that would make it worse.
        check_restart {
          limit = 12
          grace = "2m"
        }
      }
    }

    restart {
      attempts = 10
      interval = "1m"
      delay    = "1s"
      mode     = "delay"
    }
$migrate
    task "$name" {
      driver = var.driver
$identity
      config {
        command      = var.driver == "docker" ? null : var.mirage
        args         = ["serve", "$name"]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
      }

      env = merge(var.environment, {
        MIRAGE_LISTEN   = "$${NOMAD_ADDR_http}"
        MIRAGE_INSTANCE = "$${NOMAD_ALLOC_ID}"
        MIRAGE_REVISION = var.revision
      })

      template {
        destination = "secrets/settings.env"
        perms       = "600"
        env         = true
        change_mode = "noop"
        data        = <<-EOT
$secrets
        EOT
      }

      # Longer than it takes to drain and to close: what is in work ends, or goes to another instance.
      kill_signal  = "SIGTERM"
      kill_timeout = "45s"

      resources {
        cpu    = 100
        memory = $memory
      }
    }
  }
}
""")

_MIGRATE: Final = Template("""
    task "migrate" {
      driver = var.driver

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      config {
        command      = var.driver == "docker" ? null : var.mirage
        args         = ["migrate", "$name"]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
      }

      env = var.environment

      template {
        destination = "secrets/settings.env"
        perms       = "600"
        env         = true
        change_mode = "noop"
        data        = <<-EOT
$secrets
        EOT
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
""")


#: Nomad gives its token to a job that has to do with Nomad; what that may do is in jobs/policies.
_IDENTITY: Final = """
      identity {
        env = true
      }
"""
_SCHEDULER: Final = (
    '{{ if regexMatch "@" .scheduler.Value }}{{ .scheduler }}'
    '{{ else }}{{ .scheduler.Value | replaceAll "://" (printf "://:%s@" (env "NOMAD_TOKEN")) }}{{ end }}'
)


def job_name(service: str) -> str:
    """What the job of a service is called."""
    return PREFIX + service


def secrets_of(service: Service) -> tuple[str, ...]:
    """The settings of a service that its Nomad variable must have: its servers, with what it logs in there, and keys.

    All else that services are told, they are all told alike.
    """
    secrets = {port for port in service.needs if port in KINDS} | {"directory", "peers"}
    secrets |= {"values"} if service.live else set()
    secrets |= {"master_key"} if "seal" in service.needs else set()
    secrets |= {"public"} if service.public else set()
    secrets |= {"signing_keys"} if service.public or service.asks else set()
    secrets |= {"proxy"} if "egress" in service.needs else set()
    return tuple(sorted(secrets))


def render_job(service: Service, version: str) -> str:
    """The job of ``service``."""
    job = job_name(service.name)
    least, most = service.instances
    migrate = _MIGRATE.substitute(name=service.name, secrets=_secrets(job, ("sql",))) if service.migrations else ""
    return _JOB.substitute(
        name=service.name,
        job=job,
        version=version,
        least=least,
        most=most,
        memory=service.memory_mib,
        identity=_IDENTITY if "scheduler" in service.needs else "",
        migrate=migrate,
        secrets=_secrets(job, secrets_of(service)),
    )


def _secrets(job: str, names: tuple[str, ...]) -> str:
    return "\n".join(_indented(job, names))


def _indented(job: str, names: tuple[str, ...]) -> Iterator[str]:
    indent = " " * 10
    yield f'{indent}{{{{ with nomadVar "nomad/jobs/{job}" }}}}'
    for name in names:
        value = _SCHEDULER if name == "scheduler" else f"{{{{ .{name} }}}}"
        yield f"{indent}MIRAGE_{name.upper()}={value}"
    yield f"{indent}{{{{ end }}}}"
