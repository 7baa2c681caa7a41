# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

service "mirage-configuration" {
  policy = "write"
}

service_prefix "mirage-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

key_prefix "mirage/keys/" {
  policy = "write"
}

key_prefix "mirage/settings/" {
  policy = "write"
}

key "mirage/settings/configuration" {
  policy = "read"
}
