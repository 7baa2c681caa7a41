"""What the world sees of a fleet: every endpoint below ``/api``, for who has the operator's token."""

import hashlib
import hmac
from typing import Any, Final

from services.contracts import endpoints
from services.gateway.domain import Routes
from services.gateway.usecases import Door
from services.kernel.calls import Endpoint
from services.kernel.errors import Invalid
from services.kernel.http_calls import HttpCalls
from services.kernel.service import Ports

PREFIX: Final = "/api"
ENDPOINTS: Final = tuple(each for each in vars(endpoints).values() if isinstance(each, Endpoint))
#: A token that somebody may guess is none.
SHORTEST_TOKEN: Final = 24


def public(ports: Ports) -> Any:
    """The ASGI application for the public port.

    Raises:
        Invalid: there is no token, so that everybody would be let in, or no directory.
    """
    if not isinstance(ports.calls, HttpCalls):
        raise Invalid("the gateway needs a directory, by which it finds the others (MIRAGE_DIRECTORY)")
    token = ports.settings.token
    if len(token) < SHORTEST_TOKEN:
        raise Invalid(f"the gateway needs a token of {SHORTEST_TOKEN} characters at least (MIRAGE_TOKEN)")
    expected = hashlib.sha256(token.encode()).digest()

    def admits(authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        digest = hashlib.sha256(given.strip().encode()).digest()
        return scheme.lower() == "bearer" and hmac.compare_digest(digest, expected)

    routes = Routes[Endpoint[Any, Any]]((each.method, each.path, each) for each in ENDPOINTS)
    return Door(ports.calls, routes, ENDPOINTS, admits, PREFIX)
