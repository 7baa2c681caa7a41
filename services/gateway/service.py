from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.progress import Heartbeat
from services.contracts.settings import GatewaySettings
from services.kernel.service import Service

service: Final = Service(
    name="gateway",
    summary="The one entry to a fleet: knows who asks, and finds the service that is asked.",
    needs=("directory", "bus", "cache"),
    publishes=(Record,),
    follows=(Heartbeat,),
    asks=(e.PUBLISH_KEYS, e.CHECK_TOKEN, e.LIST_REVOCATIONS),
    public="services.gateway.api:public",
    tasks="services.gateway.usecases.follow:TASKS",
    fleet_only=True,
    live=GatewaySettings,
)
