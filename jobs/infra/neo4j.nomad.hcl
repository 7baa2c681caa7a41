# Neo4j, one server on one node.
#
# Nomad variable nomad/jobs/mirage-neo4j: password (of the user neo4j, from its first start on; 8 characters or more).

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "neo4j:5.26.18-community"
}

variable "command" {
  type        = string
  default     = "neo4j"
  description = "What raw_exec runs: a path, or a name in the PATH of Nomad's client."
}

variable "args" {
  type        = list(string)
  default     = null
  description = "What raw_exec gives it, when it is not Neo4j's own program."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/neo4j"
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
  default = 7687
}

variable "heap" {
  type    = string
  default = "512m"
}

variable "memory" {
  type    = number
  default = 900
}

job "mirage-neo4j" {
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

  group "neo4j" {
    network {
      port "bolt" {
        static = var.port
      }
    }

    service {
      name     = "mirage-neo4j"
      provider = "consul"
      port     = "bolt"
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

    task "neo4j" {
      driver       = var.driver
      kill_timeout = "60s"

      config {
        command      = var.driver == "docker" ? null : var.command
        args         = var.driver == "docker" ? null : var.args != null ? var.args : ["console"]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/data"] : null
      }

      env {
        JAVA_OPTS                          = "-Xmx${var.heap}"
        NEO4J_server_bolt_listen__address  = "${var.address}:${var.port}"
        NEO4J_server_http_enabled          = "false"
        NEO4J_server_memory_heap_max__size = var.heap
        NEO4J_server_directories_data      = var.driver == "docker" ? "/data" : var.data
      }

      # The image reads the first, the one-machine launcher the second.
      template {
        destination = "secrets/login.env"
        perms       = "600"
        env         = true
        change_mode = "noop"
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/mirage-neo4j" -}}
          NEO4J_AUTH=neo4j/{{ .password }}
          NEO4J_PASSWORD={{ .password }}
          {{- end }}
        EOT
      }

      resources {
        cpu    = 100
        memory = var.memory
      }
    }
  }
}
