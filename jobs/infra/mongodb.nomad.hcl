# MongoDB, one server on one node; with raw_exec also another that speaks its protocol, by command and args.
#
# Nomad variable nomad/jobs/mirage-mongodb: user, password (with docker: of the root user that the first start makes).

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "mongo:7.0.26"
}

variable "command" {
  type        = string
  default     = "mongod"
  description = "What raw_exec runs: a path, or a name in the PATH of Nomad's client."
}

variable "args" {
  type        = list(string)
  default     = null
  description = "What raw_exec gives it, when it is not MongoDB's own program."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/mongodb"
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
  default = 27017
}

variable "memory" {
  type    = number
  default = 384
}

job "mirage-mongodb" {
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

  group "mongodb" {
    network {
      port "mongodb" {
        static = var.port
      }
    }

    service {
      name     = "mirage-mongodb"
      provider = "consul"
      port     = "mongodb"
      tags     = ["store"]

      check {
        name     = "listens"
        type     = "tcp"
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

    task "mongodb" {
      driver       = var.driver
      kill_timeout = "30s"

      config {
        command = var.driver == "docker" ? null : var.command
        args = var.driver != "docker" && var.args != null ? var.args : concat(var.driver == "docker" ? ["--auth"] : ["--dbpath", var.data], [
          "--bind_ip", var.address,
          "--port", "${var.port}",
        ])
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/data/db"] : null
      }

      dynamic "template" {
        for_each = var.driver == "docker" ? ["login"] : []

        content {
          destination = "secrets/login.env"
          perms       = "600"
          env         = true
          change_mode = "noop"
          data        = <<-EOT
            {{ with nomadVar "nomad/jobs/mirage-mongodb" -}}
            MONGO_INITDB_ROOT_USERNAME={{ .user }}
            MONGO_INITDB_ROOT_PASSWORD={{ .password }}
            {{- end }}
          EOT
        }
      }

      resources {
        cpu    = 100
        memory = var.memory
      }
    }
  }
}
