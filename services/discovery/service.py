from typing import Final

from services.contracts import endpoints as e
from services.contracts.settings import DiscoverySettings
from services.kernel.service import Service

service: Final = Service(
    name="discovery",
    summary="Shows the fleet as it is: instances, health, versions, lag, deployments; and scales it by its work.",
    needs=("directory", "scheduler", "locks"),
    answers=(e.GET_FLEET, e.GET_SERVICE, e.SCALE_SERVICE),
    asks=(e.GET_SETTINGS, e.CHANGE_SETTINGS),
    doors="services.discovery.api:DOORS",
    tasks="services.discovery.usecases.scale:TASKS",
    fleet_only=True,
    instances=(1, 2),
    live=DiscoverySettings,
)
