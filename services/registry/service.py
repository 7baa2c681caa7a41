from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import Announced, Finished
from services.kernel.service import Service

service: Final = Service(
    name="registry",
    summary="Knows which modules exist, how each workspace set them, and how well their sources are.",
    needs=("sql", "bus", "documents", "directory"),
    publishes=(Record,),
    consumes=(Announced, Finished),
    answers=(e.LIST_MODULES, e.GET_MODULE, e.SET_MODULE, e.LIST_VERSIONS),
    asks=(e.LIST_KEYS, e.GET_ANNOUNCEMENT),
    doors="services.registry.api:DOORS",
    consumers="services.registry.consumers:CONSUMERS",
    migrations="services.registry.migrations",
)
