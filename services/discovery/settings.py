"""What discovery looks after: every service of the fleet, within the bounds of its declaration."""

from typing import Final

from services.catalogue import SERVICES, load_instances
from services.discovery.domain.scaling import Bounds

NAMES: Final = SERVICES
BOUNDS: Final = {name: Bounds(*instances) for name, instances in load_instances().items()}
