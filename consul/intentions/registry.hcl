# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

Kind = "service-intentions"
Name = "mirage-registry"
Sources = [
  {
    Name   = "mirage-collector"
    Action = "allow"
  },
  {
    Name   = "mirage-discovery"
    Action = "allow"
  },
  {
    Name   = "mirage-gateway"
    Action = "allow"
  },
  {
    Name   = "mirage-prometheus"
    Action = "allow"
  },
  {
    Name   = "mirage-scans"
    Action = "allow"
  },
  {
    Name   = "mirage-storage"
    Action = "allow"
  },
  {
    Name   = "*"
    Action = "deny"
  },
]
