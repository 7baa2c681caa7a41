# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

service "mirage-auth" {
  policy = "write"
}

service_prefix "mirage-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

key_prefix "mirage/keys/" {
  policy = "read"
}

key "mirage/settings/auth" {
  policy = "read"
}
