from typing import Final

from services.kernel.service import Service

service: Final = Service(
    name="gateway",
    summary="The one entry to a fleet: finds the service that is asked, and lets in who has the token.",
    needs=("directory",),
    public="services.gateway.api:public",
    fleet_only=True,
)
