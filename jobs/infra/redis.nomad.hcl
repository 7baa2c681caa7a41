# Redis with an append-only file and users, one server on one node.
#
# Nomad variable nomad/jobs/mirage-redis: acl (an ACL file: a user a line). Whoever changes it changes the running server
# alike (ACL SETUSER); it is read again at the next start only.

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "redis:7.4.7-alpine"
}

variable "command" {
  type        = string
  default     = "redis-server"
  description = "What raw_exec runs: a path, or a name in the PATH of Nomad's client."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/redis"
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
  default = 6379
}

variable "most_memory" {
  type    = string
  default = "200mb"
}

variable "memory" {
  type    = number
  default = 256
}

job "mirage-redis" {
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

  group "redis" {
    network {
      port "redis" {
        static = var.port
      }
    }

    service {
      name     = "mirage-redis"
      provider = "consul"
      port     = "redis"
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

    task "redis" {
      driver       = var.driver
      kill_timeout = "30s"

      config {
        command = var.driver == "docker" ? null : "/bin/sh"
        args = concat(var.driver == "docker" ? ["redis-server"] : ["-c", "mkdir -p \"$1\" && shift && exec \"$@\"", "sh", var.data, var.command], [
          "--bind", var.address,
          "--port", "${var.port}",
          "--dir", var.driver == "docker" ? "/data" : var.data,
          "--aclfile", var.driver == "docker" ? "/secrets/users.acl" : "$${NOMAD_SECRETS_DIR}/users.acl",
          "--appendonly", "yes",
          "--save", "",
          "--maxmemory", var.most_memory,
          "--maxmemory-policy", "noeviction",
        ])
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/data"] : null
      }

      template {
        destination = "secrets/users.acl"
        perms       = var.driver == "docker" ? "644" : "600" # the image reads it as another user
        change_mode = "noop"
        data        = "{{ with nomadVar \"nomad/jobs/mirage-redis\" }}{{ .acl }}{{ end }}\n"
      }

      resources {
        cpu    = 100
        memory = var.memory
      }
    }
  }
}
