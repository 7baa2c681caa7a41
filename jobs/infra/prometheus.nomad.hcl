# Prometheus: scrapes what is in Consul with the tag `metrics`, or with a `version` in its metadata as every service of
# Mirage has it, and the agents of Consul and Nomad themselves.
#
# A service's metadata may say another path than /metrics (`metrics_path`).

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec runs what is installed on the node, docker the vendor's image."
}

variable "image" {
  type    = string
  default = "prom/prometheus:v3.7.3"
}

variable "command" {
  type        = string
  default     = "prometheus"
  description = "What raw_exec runs: a path, or a name in the PATH of Nomad's client."
}

variable "data" {
  type        = string
  default     = "/var/lib/mirage/prometheus"
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
  default = 9090
}

variable "consul" {
  type    = string
  default = "127.0.0.1:8500"
}

variable "nomad" {
  type    = list(string)
  default = ["127.0.0.1:4646", "127.0.0.1:5646"]
}

variable "keep" {
  type    = string
  default = "15d"
}

variable "memory" {
  type    = number
  default = 256
}

job "mirage-prometheus" {
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

  group "prometheus" {
    network {
      port "http" {
        static = var.port
      }
    }

    service {
      name     = "mirage-prometheus"
      provider = "consul"
      port     = "http"
      tags     = ["metrics"]

      check {
        name     = "answers"
        type     = "http"
        path     = "/-/ready"
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

    task "prometheus" {
      driver       = var.driver
      kill_timeout = "30s"

      config {
        command = var.driver == "docker" ? null : var.command
        args = [
          "--config.file=${var.driver == "docker" ? "/local" : "$${NOMAD_TASK_DIR}"}/prometheus.yml",
          "--storage.tsdb.path=${var.driver == "docker" ? "/prometheus" : var.data}",
          "--storage.tsdb.retention.time=${var.keep}",
          "--web.listen-address=${var.address}:${var.port}",
        ]
        image        = var.driver == "docker" ? var.image : null
        network_mode = var.driver == "docker" ? "host" : null
        volumes      = var.driver == "docker" ? ["${var.data}:/prometheus"] : null
      }

      template {
        destination   = "local/prometheus.yml"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          global:
            scrape_interval: 10s
          scrape_configs:
            - job_name: services
              file_sd_configs:
                - files: [services.json]
            - job_name: consul
              metrics_path: /v1/agent/metrics
              params:
                format: [prometheus]
              static_configs:
                - targets: ["${var.consul}"]
            - job_name: nomad
              metrics_path: /v1/metrics
              params:
                format: [prometheus]
              static_configs:
                - targets: ${jsonencode(var.nomad)}
        EOT
      }

      # Found here and not by Prometheus, because Debian's is built without Consul.
      template {
        destination = "local/services.json"
        change_mode = "noop"
        wait {
          min = "1s"
          max = "5s"
        }
        data = <<-EOT
          [
            {{- range services }}{{ range service (printf "%s|any" .Name) }}
            {{- if and (ne .Name "consul") (or (in .Tags "metrics") (index .ServiceMeta "version")) }}
            {
              "targets": ["{{ .Address }}:{{ .Port }}"],
              "labels": {
                "service": {{ .Name | toJSON }},
                "instance": {{ .ID | toJSON }},
                "version": {{ or (index .ServiceMeta "version") "" | toJSON }},
                "__metrics_path__": {{ or (index .ServiceMeta "metrics_path") "/metrics" | toJSON }}
              }
            },
            {{- end }}{{ end }}{{ end }}
            { "targets": [] }
          ]
        EOT
      }

      resources {
        cpu    = 100
        memory = var.memory
      }
    }
  }
}
