# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

service "mirage-users" {
  policy = "write"
}

service_prefix "mirage-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

key "mirage/settings/users" {
  policy = "read"
}
