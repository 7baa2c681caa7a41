"""Subdomain Center: a JSON array of names (https://www.subdomain.center/)."""

from lab.providers import Provider, Request, Response, json
from lab.world import World


def answer(world: World, request: Request) -> Response | None:
    if request.path != "/":
        return None
    return json(world.known_names("subdomaincenter", request.parameter("domain").lower()))


PROVIDER = Provider(id="subdomaincenter", hosts=("api.subdomain.center",), answer=answer)
