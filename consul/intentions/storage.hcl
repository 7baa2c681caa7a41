# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

Kind = "service-intentions"
Name = "mirage-storage"
Sources = [
  {
    Name   = "mirage-collector"
    Action = "allow"
  },
  {
    Name   = "mirage-gateway"
    Action = "allow"
  },
  {
    Name   = "*"
    Action = "deny"
  },
]
