# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.

Kind = "service-intentions"
Name = "mirage-gateway"
Sources = [
  {
    Name   = "*"
    Action = "deny"
  },
]
