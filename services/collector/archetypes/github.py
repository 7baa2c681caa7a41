"""GitHub's REST API (https://docs.github.com/en/rest): how it is asked, and what its documents about accounts hold."""

from collections.abc import Iterator

from msgspec import Struct

from services.collector.archetypes.documents import secret
from services.collector.archetypes.rate_limits import refuse_others
from services.collector.archetypes.sound import described
from services.collector.archetypes.times import instant
from services.collector.context import Context, HttpAnswer
from services.contracts.claims import Claim, Entity

_API = "https://api.github.com"
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_MAX_BYTES = 5_000_000


class Account(Struct):
    login: str
    type: str = "User"
    html_url: str = ""
    avatar_url: str = ""
    name: str | None = None
    company: str | None = None
    blog: str | None = None
    location: str | None = None
    email: str | None = None
    bio: str | None = None
    description: str | None = None
    twitter_username: str | None = None
    is_verified: bool | None = None
    public_repos: int | None = None
    followers: int | None = None
    following: int | None = None
    created_at: str | None = None
    updated_at: str | None = None


async def ask(ctx: Context, path: str, parameters: dict[str, str] | None = None) -> HttpAnswer:
    """GET a document; 60 an hour without a key, 5,000 with one.

    Raises:
        RateLimited: none is left of them, until the time that the answer tells.
    """
    answer = await ctx.http.get(
        f"{_API}{path}",
        parameters,
        headers=_HEADERS,
        secret=secret(ctx, "Authorization:", "Bearer {key}"),
        statuses=(200, 401, 403, 404, 429),
        max_bytes=_MAX_BYTES,
    )
    refuse_others(answer, 200, 404)
    return answer


def has_next(answer: HttpAnswer) -> bool:
    """Whether another page follows (RFC 8288)."""
    return 'rel="next"' in (answer.header("link") or "")


def described_account(account: Account, about: Entity) -> Iterator[Claim]:
    """What the document says of the account itself."""
    yield from described(
        about,
        account_kind=account.type,
        display_name=[account.name],
        company=[account.company],
        place=[account.location],
        biography=account.bio or account.description,
        picture=[account.avatar_url],
        profile=[account.html_url],
        website=[account.blog],
        verified=account.is_verified,
        followers=account.followers,
        following=account.following,
        repository_count=account.public_repos,
        created_at=instant(account.created_at),
        updated_at=instant(account.updated_at),
    )
