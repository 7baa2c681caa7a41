"""The name servers of a zone, for modules that ask them themselves."""

from services.collector.context import Context, Unreachable
from services.contracts.claims import Entity, Relation

ADDRESSES = 2  # of one name server


def zone_of(seen: Entity | Relation) -> Entity:
    """The zone that a domain is, or that a relation to a name server is about."""
    return seen if isinstance(seen, Entity) else seen.source


def has_its_turn(seen: Entity | Relation) -> bool:
    """Whether a zone is worked on as the domain that it is, and not once more for each of its name servers."""
    return isinstance(seen, Relation) and seen.source.type == "domain"


async def name_servers(zone: Entity, ctx: Context) -> list[str]:
    """The names of the servers of a zone, sorted; none when it has none.

    Raises:
        Unreachable: the resolvers cannot say.
    """
    answer = await ctx.dns.ask(zone.value, "NS")
    for resolution in answer.resolutions:
        if not resolution.asked:
            raise Unreachable(f"the name servers of {zone.value} are not known: {resolution.status}")
    return sorted({data for resolution in answer.resolutions for data in resolution.values})


async def addresses(names: list[str], ctx: Context) -> list[str]:
    """The addresses of name servers, two of each, each once."""
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys((await ctx.dns.addresses(name))[:ADDRESSES]))
    return list(found)
