"""Gravatar keeps public profiles by e-mail address: name, picture, work, place, and accounts that their owner verified.
It is asked for the SHA-256 of an address, from which it learns that somebody looked the address up, if it knows it.
With a key the profile also has links, contacts and wallets.
"""

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

from msgspec import Struct

from services.collector.archetypes.documents import secret
from services.collector.archetypes.links import OF_THEIRS, linked_accounts, linked_site
from services.collector.archetypes.names import weighed
from services.collector.archetypes.rate_limits import refuse_others
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.context import Answer, Context, HttpAnswer
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity
from services.contracts.entities.chains import chain_of

MANIFEST = Manifest(
    id="gravatar",
    version=2,
    title="Gravatar",
    activity="passive",
    source="https://gravatar.com/",
    format="https://docs.gravatar.com/rest/api-data-specifications",
    consumes=("email_address",),
    produces=(
        "account",
        "email_address",
        "phone_number",
        "crypto_address",
        "domain",
        "hostname",
        "controls",
    ),
    hosts=("api.gravatar.com",),
    key="gravatar",
    rate=1.0,
    burst=20,
    quota={"hour": 100},
    key_quota={"hour": 1000},
    freshness=604_800,
    timeout=60.0,
    licence="Gravatar terms of service",
    key_adds="links, contacts and wallets of a profile, and 1,000 requests an hour there instead of 100",
)

MAX_LINKS = 50


class Account(Struct):
    url: str
    is_hidden: bool = False


class Link(Struct):
    url: str


class Wallet(Struct):
    address: str


class Payments(Struct):
    crypto_wallets: list[Wallet] = []


class Contact(Struct):
    home_phone: str = ""
    work_phone: str = ""
    cell_phone: str = ""
    email: str = ""


class Profile(Struct):
    profile_url: str
    display_name: str = ""
    avatar_url: str = ""
    location: str = ""
    description: str = ""
    job_title: str = ""
    company: str = ""
    pronouns: str = ""
    timezone: str = ""
    first_name: str = ""
    last_name: str = ""
    verified_accounts: list[Account] = []
    links: list[Link] = []
    payments: Payments | None = None
    contact_info: Contact | None = None
    last_profile_edit: str | None = None
    registration_date: str | None = None


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    digest = sha256(seen.value.encode()).hexdigest()
    answer = await ctx.http.get(
        f"https://api.gravatar.com/v3/profiles/{digest}",
        secret=secret(ctx, "Authorization:", "Bearer {key}"),
        statuses=(200, 401, 403, 404, 429),
    )
    refuse_others(answer, 200, 404)
    yield answer


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    if answer.status == 404:
        return
    profile = answer.json(Profile)
    account = sound(entities.account, "gravatar", profile.profile_url.rstrip("/").rpartition("/")[2])
    if account is None:
        return
    yield relations.controls(seen, account)
    yield from described(
        account,
        display_name=[profile.display_name],
        given_name=profile.first_name,
        family_name=profile.last_name,
        place=[profile.location],
        biography=profile.description,
        job_title=[profile.job_title],
        company=[profile.company],
        pronouns=profile.pronouns,
        time_zone=[profile.timezone],
        picture=[profile.avatar_url],
        profile=[profile.profile_url],
        created_at=instant(profile.registration_date),
        updated_at=instant(profile.last_profile_edit),
    )
    for linked in profile.verified_accounts[:MAX_LINKS]:
        for other in () if linked.is_hidden else linked_accounts(linked.url):
            yield relations.controls(seen, other)
            yield from described(other, verified=True)
    for link in profile.links[:MAX_LINKS]:
        site = linked_site(link.url)
        if site is not None:
            yield weighed(relations.controls(account, site), OF_THEIRS)
        for other in linked_accounts(link.url):
            yield relations.controls(account, other)
    for thing in contacts(profile):
        yield relations.controls(account, thing)


def contacts(profile: Profile) -> Iterator[Entity]:
    """What the profile lists to be reached or paid by."""
    contact = profile.contact_info or Contact()
    found = [sound(entities.phone_number, one) for one in (contact.home_phone, contact.work_phone, contact.cell_phone)]
    found.append(sound(entities.email_address, contact.email))
    for wallet in (profile.payments or Payments()).crypto_wallets[:MAX_LINKS]:
        chain = chain_of(wallet.address.strip())
        found.append(sound(entities.crypto_address, chain, wallet.address) if chain else None)
    yield from (thing for thing in found if thing is not None)
