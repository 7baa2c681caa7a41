"""GitHub's users (https://docs.github.com/en/rest/users/users#get-a-user)."""

from hashlib import sha256
from typing import Any

import msgspec

from lab.providers import Provider, Request, Response, json
from lab.world import Person, World

MEDIA_TYPE = "application/json; charset=utf-8"
HEADERS = (
    ("X-GitHub-Media-Type", "github.v3; format=json"),
    ("X-RateLimit-Limit", "60"),
    ("X-RateLimit-Remaining", "51"),
    ("X-RateLimit-Reset", "1793620800"),
    ("X-RateLimit-Resource", "core"),
    ("X-RateLimit-Used", "9"),
)
STAMP = "%Y-%m-%dT%H:%M:%SZ"


def answer(world: World, request: Request) -> Response | None:
    _, *parts = request.path.lower().split("/")
    if len(parts) != 2 or parts[0] != "users":
        return None
    organisation = world.organisation
    if parts[1] == organisation.github:
        return respond(organisation_as_user(world))
    person = world.person(github=parts[1])
    return respond(user(world, person)) if person else missing("users/users#get-a-user")


def user(world: World, person: Person) -> dict[str, Any]:
    organisation = world.organisation
    owned = [repository for repository in organisation.repositories if repository.owner == person.github]
    twitter = next((account.handle for account in person.accounts if account.platform == "twitter"), None)
    return {
        **summary(str(person.github), "User"),
        "name": person.name,
        "company": f"@{organisation.github}",
        "blog": "",
        "location": person.city,
        "email": None,
        "hireable": None,
        "bio": person.bio,
        "twitter_username": twitter,
        "public_repos": len(owned),
        "public_gists": 0,
        "followers": 12,
        "following": 7,
        "created_at": person.joined.strftime(STAMP),
        "updated_at": world.now.strftime(STAMP),
    }


def organisation_as_user(world: World) -> dict[str, Any]:
    organisation = world.organisation
    return {
        **summary(organisation.github, "Organization"),
        "name": organisation.name,
        "company": None,
        "blog": organisation.website,
        "location": organisation.city,
        "email": None,
        "hireable": None,
        "bio": organisation.tagline,
        "twitter_username": None,
        "public_repos": len(organisation.repositories),
        "public_gists": 0,
        "followers": 61,
        "following": 0,
        "created_at": organisation.founded.strftime(STAMP),
        "updated_at": world.now.strftime(STAMP),
    }


def summary(login: str, kind: str) -> dict[str, Any]:
    """The short form in which accounts are listed."""
    number = int.from_bytes(sha256(login.encode()).digest()[:3])
    api = f"https://api.github.com/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": api,
        "html_url": f"https://github.com/{login}",
        "repos_url": f"{api}/repos",
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def respond(value: Any, *headers: tuple[str, str], status: int = 200) -> Response:
    response = json(value, status=status, media_type=MEDIA_TYPE)
    return msgspec.structs.replace(response, headers=response.headers + HEADERS + headers)


def missing(page: str) -> Response:
    documentation = f"https://docs.github.com/rest/{page}"
    return respond({"message": "Not Found", "documentation_url": documentation, "status": "404"}, status=404)


PROVIDER = Provider(id="github_user", hosts=("api.github.com",), answer=answer)
