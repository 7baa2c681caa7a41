"""GitHub tells what an organisation shows there: its page, site, mail address, public members and repositories. It is
asked for the organisation of that name and learns that somebody looked.
"""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from msgspec import Struct

from services.collector.archetypes.documents import rows
from services.collector.archetypes.github import Account, ask, described_account, has_next
from services.collector.archetypes.links import OF_THEIRS, linked_site
from services.collector.archetypes.names import any_name, weighed
from services.collector.archetypes.sound import described, sound
from services.collector.archetypes.times import instant
from services.collector.archetypes.urls import host_in
from services.collector.context import Answer, Context, HttpAnswer, Truncated
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="github_org",
    version=2,
    title="GitHub organisations",
    activity="passive",
    source="https://github.com/",
    format="https://docs.github.com/en/rest/orgs/orgs#get-an-organization",
    consumes=("account",),
    produces=(
        "account",
        "organization",
        "email_address",
        "domain",
        "hostname",
        "code_repository",
        "controls",
        "has_contact",
        "operated_by",
        "member_of",
        "mentions",
    ),
    hosts=("api.github.com",),
    key="github",
    budget="github",
    rate=1.0,
    burst=10,
    quota={"hour": 60},
    key_quota={"hour": 5000},
    cost=3.0,
    freshness=604_800,
    timeout=300.0,
    licence="GitHub terms of service",
    key_adds="no other answers, but 5,000 requests an hour at GitHub instead of 60 for all who ask from this address",
)

PER_PAGE = 100
MAX_PAGES = 5


class Licence(Struct):
    spdx_id: str | None = None


class Repository(Struct):
    full_name: str
    description: str | None = None
    homepage: str | None = None
    language: str | None = None
    license: Licence | None = None
    topics: list[str] = []
    stargazers_count: int | None = None
    forks_count: int | None = None
    open_issues_count: int | None = None
    archived: bool | None = None
    fork: bool | None = None
    default_branch: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    pushed_at: str | None = None


class Member(Struct):
    login: str


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    platform, handle = seen.key
    if platform != "github":
        return
    path = f"/orgs/{quote(handle, safe='')}"
    answer = await ask(ctx, path)
    yield answer
    if answer.status == 404:
        return  # a user, or nobody
    longer = []
    for listing in ("repos", "public_members"):
        for page in range(1, MAX_PAGES + 1):
            answer = await ask(ctx, f"{path}/{listing}", {"per_page": str(PER_PAGE), "page": str(page)})
            yield answer
            if not has_next(answer):
                break
        else:
            longer.append(listing.replace("_", " "))
    if longer:
        raise Truncated(f"there are more than {MAX_PAGES * PER_PAGE} {' and '.join(longer)}")


def parse(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    path = answer.url.partition("?")[0].rstrip("/")
    if answer.status == 404:
        return
    if path.endswith("/repos"):
        yield from repositories(answer, seen)
    elif path.endswith("/public_members"):
        for member in rows(answer, Member):
            account = sound(entities.account, "github", member.login)
            if account is not None:
                yield relations.member_of(account, seen)
    else:
        yield from organisation(answer.json(Account), seen)


def organisation(found: Account, seen: Entity) -> Iterator[Claim]:
    yield from described_account(found, seen)
    organization = sound(entities.organization, "github", found.login.lower())
    if organization is None:
        return
    yield relations.controls(organization, seen)
    yield from described(organization, display_name=[found.name], place=[found.location])
    address = sound(entities.email_address, found.email or "")
    if address is not None:
        yield relations.has_contact(organization, address, role="public")
    site = linked_site(found.blog or "")
    if site is not None:
        operated = relations.operated_by(site, organization)
        yield operated if found.is_verified else weighed(operated, OF_THEIRS)


def repositories(answer: HttpAnswer, seen: Entity) -> Iterator[Claim]:
    for row in rows(answer, Repository):
        repository = sound(entities.code_repository, "github", row.full_name)
        if repository is None:
            continue
        yield relations.controls(seen, repository)
        yield from described(
            repository,
            description=row.description,
            website=[row.homepage],
            language=[row.language],
            licence=row.license.spdx_id if row.license and row.license.spdx_id != "NOASSERTION" else None,
            topic=row.topics,
            stars=row.stargazers_count,
            forks=row.forks_count,
            open_issues=row.open_issues_count,
            archived=row.archived,
            is_fork=row.fork,
            default_branch=row.default_branch,
            created_at=instant(row.created_at),
            updated_at=instant(row.updated_at),
            pushed_at=instant(row.pushed_at),
        )
        named = any_name(host_in(row.homepage)) if row.homepage else None
        if named is not None:
            yield relations.mentions(repository, named)
