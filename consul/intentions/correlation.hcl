# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

Kind = "service-intentions"
Name = "mirage-correlation"
Sources = [
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
    Name   = "mirage-reporting"
    Action = "allow"
  },
  {
    Name   = "mirage-visualization"
    Action = "allow"
  },
  {
    Name   = "*"
    Action = "deny"
  },
]
