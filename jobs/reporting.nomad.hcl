# Rendered from services/reporting/service.py by `mirage render`: change it there.

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
  default     = "mirage:0.1.0"
  description = "With docker."
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "count" {
  type    = number
  default = 1
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

job "mirage-reporting" {
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

  group "reporting" {
    count = var.count

    scaling {
      enabled = true
      min     = 1
      max     = 4
    }

    network {
      port "http" {
      }
    }

    # For Nomad alone, which waits for it; the instance makes itself known to Consul when it is ready.
    service {
      name     = "mirage-reporting"
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

    task "migrate" {
      driver = var.driver

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      config {
        command      = var.driver == "docker" ? null : var.mirage
        args         = ["migrate", "reporting"]
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
          {{ with nomadVar "nomad/jobs/mirage-reporting" }}
          MIRAGE_SQL={{ .sql }}
          {{ end }}
        EOT
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }

    task "reporting" {
      driver = var.driver

      config {
        command      = var.driver == "docker" ? null : var.mirage
        args         = ["serve", "reporting"]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
      }

      env = merge(var.environment, {
        MIRAGE_LISTEN   = "${NOMAD_ADDR_http}"
        MIRAGE_INSTANCE = "${NOMAD_ALLOC_ID}"
        MIRAGE_REVISION = var.revision
      })

      template {
        destination = "secrets/settings.env"
        perms       = "600"
        env         = true
        change_mode = "noop"
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/mirage-reporting" }}
          MIRAGE_BUS={{ .bus }}
          MIRAGE_DIRECTORY={{ .directory }}
          MIRAGE_DOCUMENTS={{ .documents }}
          MIRAGE_PEERS={{ .peers }}
          MIRAGE_SIGNING_KEYS={{ .signing_keys }}
          MIRAGE_SQL={{ .sql }}
          {{ end }}
        EOT
      }

      # Longer than it takes to drain and to close: what is in work ends, or goes to another instance.
      kill_signal  = "SIGTERM"
      kill_timeout = "45s"

      resources {
        cpu    = 100
        memory = 768
      }
    }
  }
}
