# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

service "mirage-discovery" {
  policy = "write"
}

service_prefix "mirage-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

key "mirage/settings/discovery" {
  policy = "read"
}

key_prefix "mirage/lock/" {
  policy = "write"
}

session_prefix "" {
  policy = "write"
}
