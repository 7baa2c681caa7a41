"""AnubisDB: a JSON array of names; 204 for a domain that it does not know (https://github.com/jonluca/Anubis-DB)."""

from lab.providers import Provider, Request, Response, json
from lab.world import World

PATH = "/anubis/subdomains/"


def answer(world: World, request: Request) -> Response | None:
    if not request.path.startswith(PATH):
        return None
    names = world.known_names("anubis", request.path.removeprefix(PATH).lower())
    return json(names) if names else Response(status=204)


PROVIDER = Provider(id="anubis", hosts=("anubisdb.com",), answer=answer)
