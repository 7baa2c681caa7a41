# NATS with JetStream, one server on one node.
#
# Nomad variable nomad/jobs/mirage-nats: authorization (what its configuration says of accounts and users, as text of it).
# A changed one is taken over while it runs.

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "nats:2.12.2-alpine"
}

variable "command" {
  type        = string
  default     = "nats-server"
  description = "What raw_exec runs: a path, or a name in the PATH of Nomad's client."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/nats"
  description = "Its folder on the node."
}

variable "node" {
  type        = string
  default     = ".*"
  description = "A regular expression for the name of the node that has the folder."
}

variable "address" {
  type    = string
  default = "127.0.0.1"
}

variable "port" {
  type    = number
  default = 4222
}

variable "monitor_port" {
  type    = number
  default = 8222
}

variable "memory" {
  type    = number
  default = 256
}

job "mirage-nats" {
  type = "service"

  constraint {
    attribute = "${node.unique.name}"
    operator  = "regexp"
    value     = var.node
  }

  update {
    health_check      = "checks"
    min_healthy_time  = "1s"
    healthy_deadline  = "3m"
    progress_deadline = "5m"
  }

  group "nats" {
    network {
      port "nats" {
        static = var.port
      }
      port "monitor" {
        static = var.monitor_port
      }
    }

    service {
      name     = "mirage-nats"
      provider = "consul"
      port     = "nats"
      tags     = ["bus"]

      check {
        name     = "answers"
        type     = "http"
        path     = "/healthz"
        port     = "monitor"
        interval = "3s"
        timeout  = "3s"
      }
    }

    # The data is here: begun again in place for ever, never elsewhere.
    restart {
      attempts = 60
      interval = "1m"
      delay    = "1s"
      mode     = "delay"
    }

    disconnect {
      lost_after = "24h"
      replace    = false
    }

    task "nats" {
      driver       = var.driver
      kill_timeout = "30s"

      config {
        command      = var.driver == "docker" ? null : var.command
        args         = ["-c", var.driver == "docker" ? "/secrets/nats.conf" : "$${NOMAD_SECRETS_DIR}/nats.conf"]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/data"] : null
      }

      template {
        destination   = "secrets/nats.conf"
        perms         = "600"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          server_name: "mirage"
          listen: "${var.address}:${var.port}"
          http: "${var.address}:${var.monitor_port}"
          jetstream {
            store_dir: "${var.driver == "docker" ? "/data" : var.data}"
          }
          {{ with nomadVar "nomad/jobs/mirage-nats" }}{{ .authorization }}{{ end }}
        EOT
      }

      resources {
        cpu    = 100
        memory = var.memory
      }
    }
  }
}
