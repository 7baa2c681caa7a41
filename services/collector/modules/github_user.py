"""GitHub tells what a user says of themselves: name, place, work, site, mail address, and how long they have been
there. It is asked for the account of that name and learns that somebody looked.
"""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from services.collector.archetypes.github import Account, ask, described_account
from services.collector.archetypes.links import OF_THEIRS, linked_accounts, linked_site
from services.collector.archetypes.names import weighed
from services.collector.archetypes.sound import sound
from services.collector.context import Answer, Context, HttpAnswer
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="github_user",
    version=2,
    title="GitHub users",
    activity="passive",
    source="https://github.com/",
    format="https://docs.github.com/en/rest/users/users#get-a-user",
    consumes=("username", "account"),
    produces=("account", "email_address", "domain", "hostname", "controls"),
    hosts=("api.github.com",),
    key="github",
    budget="github",
    rate=1.0,
    burst=10,
    quota={"hour": 60},
    key_quota={"hour": 5000},
    freshness=604_800,
    timeout=60.0,
    licence="GitHub terms of service",
    key_adds="no other answers, but 5,000 requests an hour at GitHub instead of 60 for all who ask from this address",
)

SAME_NAME = 50  # a handle of the same name on another platform is often somebody else's


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    handle = seen.key[-1]
    if seen.type == "username" or seen.key[0] == "github":
        yield await ask(ctx, f"/users/{quote(handle, safe='')}")


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status == 404:
        return
    user = answer.json(Account)
    account = sound(entities.account, "github", user.login)
    if account is None:
        return
    if seen.type == "username":
        yield weighed(relations.controls(seen, account), SAME_NAME)
    yield from described_account(user, account)
    if user.type != "User":
        return  # `github_org` asks for more of organisations
    address = sound(entities.email_address, user.email or "")
    twitter = sound(entities.account, "twitter", user.twitter_username or "")
    for owned in (address, twitter, *linked_accounts(user.blog or "")):
        if owned is not None:
            yield relations.controls(account, owned)
    site = linked_site(user.blog or "")
    if site is not None:
        yield weighed(relations.controls(account, site), OF_THEIRS)
