# PostgreSQL, one server on one node: its folder is on that node, so it is never moved to another.
#
# Nomad variable nomad/jobs/mirage-postgresql: user, password (of the superuser that the first start makes; both stay).

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "postgres:15.15"
}

variable "bin" {
  type        = string
  default     = "/usr/lib/postgresql/15/bin"
  description = "The folder of postgres, initdb and pg_isready, for raw_exec."
}

variable "user" {
  type        = string
  default     = "postgres"
  description = "As whom it runs with raw_exec: it refuses to be root. Empty: as Nomad's client does."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/postgresql"
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
  default = 5432
}

variable "connections" {
  type    = number
  default = 300
}

variable "memory" {
  type    = number
  default = 512
}

locals {
  run_as = <<-EOT
    user=$1 && shift && cd / || exit
    if [ -n "$user" ] && [ "$(id -u)" = 0 ]; then
      set -- setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"
    fi
    exec "$@"
  EOT
}

job "mirage-postgresql" {
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

  group "postgresql" {
    network {
      port "sql" {
        static = var.port
      }
    }

    service {
      name     = "mirage-postgresql"
      provider = "consul"
      port     = "sql"
      tags     = ["store"]

      # A server that recovers after a crash listens, and refuses.
      check {
        name     = "accepts connections"
        type     = "script"
        task     = "postgresql"
        command  = "${var.driver == "docker" ? "" : "${var.bin}/"}pg_isready"
        args     = ["-q", "-h", var.address, "-p", "${var.port}"]
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

    dynamic "task" {
      for_each = var.driver == "docker" ? [] : ["initdb"]
      labels   = ["initdb"]

      content {
        driver = var.driver

        lifecycle {
          hook    = "prestart"
          sidecar = false
        }

        config {
          command = "/bin/sh"
          args    = ["$${NOMAD_TASK_DIR}/initdb.sh"]
        }

        env {
          DATA   = var.data
          BIN    = var.bin
          RUN_AS = var.user
        }

        # What a first start leaves when it is cut off is not taken for a cluster of databases.
        template {
          destination = "local/initdb.sh"
          perms       = "700"
          data        = <<-EOT
            set -eu
            [ ! -e "$DATA/PG_VERSION" ] || exit 0
            new="$DATA.new"
            rm -rf "$new" "$new.password"
            mkdir -p "$(dirname "$DATA")"
            umask 077
            mkdir "$new"
            cp "$NOMAD_SECRETS_DIR/password" "$new.password"
            set -- "$BIN/initdb" -D "$new" -U "$(cat "$NOMAD_SECRETS_DIR/user")" --pwfile="$new.password" \
              -A scram-sha-256 --locale=C -E UTF8
            if [ -n "$RUN_AS" ] && [ "$(id -u)" = 0 ]; then
              chown "$RUN_AS" "$new" "$new.password"
              set -- runuser -u "$RUN_AS" -- "$@"
            fi
            cd /
            "$@"
            rm -f "$new.password"
            [ ! -d "$DATA" ] || rmdir "$DATA"
            mv "$new" "$DATA"
          EOT
        }

        template {
          destination = "secrets/user"
          perms       = "600"
          data        = "{{ with nomadVar \"nomad/jobs/mirage-postgresql\" }}{{ .user }}{{ end }}"
          change_mode = "noop"
        }

        template {
          destination = "secrets/password"
          perms       = "600"
          data        = "{{ with nomadVar \"nomad/jobs/mirage-postgresql\" }}{{ .password }}{{ end }}"
          change_mode = "noop"
        }

        resources {
          cpu    = 100
          memory = 64
        }
      }
    }

    task "postgresql" {
      driver       = var.driver
      kill_signal  = "SIGINT" # end sessions, then itself; SIGTERM waits for them
      kill_timeout = "60s"

      config {
        command = var.driver == "docker" ? null : "/bin/sh"
        # By itself and not as the task's user, who would have to pass through the folders that have everybody's secrets.
        args = concat(var.driver == "docker" ? [] : ["-c", local.run_as, "sh", var.user, "${var.bin}/postgres", "-D", var.data], [
          "-c", "listen_addresses=${var.address}",
          "-c", "port=${var.port}",
          "-c", "unix_socket_directories=",
          "-c", "max_connections=${var.connections}",
        ])
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/var/lib/postgresql/data"] : null
      }

      dynamic "template" {
        for_each = var.driver == "docker" ? ["login"] : []

        content {
          destination = "secrets/login.env"
          perms       = "600"
          env         = true
          change_mode = "noop"
          data        = <<-EOT
            {{ with nomadVar "nomad/jobs/mirage-postgresql" -}}
            POSTGRES_USER={{ .user }}
            POSTGRES_PASSWORD={{ .password }}
            {{- end }}
            POSTGRES_DB=postgres
            POSTGRES_INITDB_ARGS=--locale=C -E UTF8
          EOT
        }
      }

      resources {
        cpu    = 200
        memory = var.memory
      }
    }
  }
}
