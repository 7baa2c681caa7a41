"""What others may be set to, as their declarations say."""

from typing import Final

from services.catalogue import load_instances

#: The least and the most instances of each service that is scaled.
INSTANCES: Final = load_instances()
