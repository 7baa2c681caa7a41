"""What discovery is asked."""

from typing import Final

from services.contracts import resources as r
from services.kernel.calls import Endpoint, Nothing

GET_FLEET: Final = Endpoint(
    service="discovery", name="get_fleet", method="GET", path="/v1/fleet", needs="fleet.read",
    takes=Nothing, answers=r.FleetView, summary="Show all services of the fleet, and how they are.", within=False,
)  # fmt: skip
GET_SERVICE: Final = Endpoint(
    service="discovery", name="get_service", method="GET", path="/v1/fleet/{service}", needs="fleet.read",
    takes=r.ServiceName, answers=r.ServiceView, summary="Show a service of the fleet.", within=False,
)  # fmt: skip
SCALE_SERVICE: Final = Endpoint(
    service="discovery", name="scale_service", method="PUT", path="/v1/fleet/{service}/scale", needs="fleet.scale",
    takes=r.Scaling, answers=r.Scaled,
    summary="Fix how many instances a service has, or let it follow its work.", within=False,
    audited=False,  # configuration, which it asks, says for whom
)  # fmt: skip
