"""One question for all addresses of a neighbourhood, where what is asked about holds for larger networks anyway."""

from services.contracts import entities
from services.contracts.claims import Entity

# Networks smaller than these are not accepted by most of the routing system (https://www.rfc-editor.org/rfc/rfc7454,
# section 6.1.3), and a scan of thousands of hosts has few of them.
SMALLEST = {4: 24, 6: 48}

DAY = 86_400


def neighbourhood(address: Entity) -> Entity:
    """The smallest network that is routed by itself and holds an address."""
    return entities.netblock(f"{address.key[0]}/{SMALLEST[6 if ':' in address.key[0] else 4]}")
