# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

service "mirage-visualization" {
  policy = "write"
}

service_prefix "mirage-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
