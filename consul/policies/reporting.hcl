# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

service "mirage-reporting" {
  policy = "write"
}

service_prefix "mirage-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
