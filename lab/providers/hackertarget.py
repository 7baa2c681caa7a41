"""HackerTarget's host search: one `name,address` a line (https://hackertarget.com/find-dns-host-records/)."""

from lab.providers import Provider, Request, Response, text
from lab.world import World


def answer(world: World, request: Request) -> Response | None:
    if request.path != "/hostsearch/":
        return None
    wanted = request.parameter("q").lower()
    lines = [f"{name},{world.last_address(name)}" for name in world.known_names("hackertarget", wanted)]
    return text("\n".join(lines) if lines else "error check your search parameter")


PROVIDER = Provider(id="hackertarget", hosts=("api.hackertarget.com",), answer=answer)
