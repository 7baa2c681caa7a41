"""What the world sees of a fleet: every endpoint below ``/api``, for who may ask it."""

from typing import Any, Final

from services.contracts import endpoints
from services.gateway.domain import Routes
from services.gateway.usecases.door import Door
from services.gateway.usecases.follow import identities_of
from services.gateway.usecases.front import Front
from services.gateway.usecases.idempotency import KeptAnswers
from services.gateway.usecases.proxies import Proxied, trusted_by
from services.gateway.usecases.rate_limits import RateLimiter
from services.kernel.calls import Endpoint
from services.kernel.errors import Invalid
from services.kernel.http_calls import HttpCalls
from services.kernel.service import Ports

PREFIX: Final = "/api"
ENDPOINTS: Final = tuple(each for each in vars(endpoints).values() if isinstance(each, Endpoint))


def public(ports: Ports) -> Any:
    """The ASGI application for the public port.

    Raises:
        Invalid: there is no directory, or no key, or a trusted proxy is no address or network.
    """
    if not isinstance(ports.calls, HttpCalls):
        raise Invalid("the gateway needs a directory, by which it finds the others (MIRAGE_DIRECTORY)")
    identities = identities_of(ports)
    routes = Routes[Endpoint[Any, Any]]((each.method, each.path, each) for each in ENDPOINTS)
    if not ports.settings.signing_keys:
        raise Invalid("the gateway needs a key, by which services know it (MIRAGE_SIGNING_KEYS)")
    # Which all gateways of a fleet have, and nobody else.
    answers = KeptAnswers(ports.cache, "".join(ports.settings.signing_keys).encode())
    front = Front(identities, RateLimiter(ports.cache, lambda: ports.live.now), answers, PREFIX)
    door = Door(
        ports.calls,
        routes,
        ENDPOINTS,
        front.identify,
        PREFIX,
        watched=identities.watched,
        before=front.before,
        refused=ports.trail.refused,
    )
    return Proxied(door, trusted_by(ports.settings))
