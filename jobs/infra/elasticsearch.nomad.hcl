# Elasticsearch, one server on one node.
#
# Nomad variable nomad/jobs/mirage-elasticsearch: password (with docker: of the user elastic).

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "docker.elastic.co/elasticsearch/elasticsearch:8.19.8"
}

variable "command" {
  type        = string
  default     = "elasticsearch"
  description = "What raw_exec runs: a path, or a name in the PATH of Nomad's client."
}

variable "args" {
  type        = list(string)
  default     = null
  description = "What raw_exec gives it, when it is not Elastic's own program."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/elasticsearch"
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
  default = 9200
}

variable "heap" {
  type    = string
  default = "512m"
}

variable "memory" {
  type    = number
  default = 900
}

job "mirage-elasticsearch" {
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

  group "elasticsearch" {
    network {
      port "http" {
        static = var.port
      }
    }

    service {
      name     = "mirage-elasticsearch"
      provider = "consul"
      port     = "http"
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

    task "elasticsearch" {
      driver       = var.driver
      kill_timeout = "60s"

      config {
        command = var.driver == "docker" ? null : var.command
        args = var.driver == "docker" ? null : var.args != null ? var.args : [
          "-Ediscovery.type=single-node",
          "-Enetwork.host=${var.address}",
          "-Ehttp.port=${var.port}",
          "-Epath.data=${var.data}",
        ]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/usr/share/elasticsearch/data"] : null
      }

      env {
        ES_JAVA_OPTS = "-Xms${var.heap} -Xmx${var.heap}"
        JAVA_OPTS    = "-Xmx${var.heap}"
      }

      dynamic "template" {
        for_each = var.driver == "docker" ? ["settings"] : []

        content {
          destination = "secrets/settings.env"
          perms       = "600"
          env         = true
          change_mode = "noop"
          data        = <<-EOT
            discovery.type=single-node
            network.host=${var.address}
            http.port=${var.port}
            xpack.security.http.ssl.enabled=false
            {{ with nomadVar "nomad/jobs/mirage-elasticsearch" }}ELASTIC_PASSWORD={{ .password }}{{ end }}
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
