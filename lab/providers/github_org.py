"""GitHub's organisations, their repositories and members (https://docs.github.com/en/rest/orgs/orgs)."""

from typing import Any

from lab.providers import Provider, Request, Response
from lab.providers.github_user import STAMP, missing, respond, summary
from lab.world import Repository, World

MOST_PER_PAGE = 100


def answer(world: World, request: Request) -> Response | None:
    _, *parts = request.path.lower().split("/")
    if len(parts) not in {2, 3} or parts[0] != "orgs":
        return None
    organisation = world.organisation
    if parts[1] != organisation.github:
        return missing("orgs/orgs#get-an-organization")
    match parts[2:]:
        case []:
            return respond(profile(world))
        case ["repos"]:
            owned = [one for one in organisation.repositories if one.owner == organisation.github]
            return page(request, [repository(one) for one in owned])
        case ["public_members"]:
            logins = [person.github for person in organisation.people if person.github]
            return page(request, [summary(login, "User") for login in logins])
    return missing("orgs")


def profile(world: World) -> dict[str, Any]:
    organisation = world.organisation
    short = summary(organisation.github, "Organization")
    return {
        **{name: short[name] for name in ("login", "id", "node_id", "avatar_url", "html_url")},
        "url": f"https://api.github.com/orgs/{organisation.github}",
        "description": organisation.tagline,
        "is_verified": False,
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": len(organisation.repositories),
        "public_gists": 0,
        "followers": 61,
        "following": 0,
        "created_at": organisation.founded.strftime(STAMP),
        "updated_at": world.now.strftime(STAMP),
        "archived_at": None,
        "type": "Organization",
        "name": organisation.name,
        "company": None,
        "blog": organisation.website,
        "location": f"{organisation.city}, {organisation.country}",
        "email": organisation.emails[0],
        "twitter_username": None,
    }


def repository(found: Repository) -> dict[str, Any]:
    name = f"{found.owner}/{found.name}"
    licence = {
        "key": found.licence.lower(),
        "name": found.licence,
        "spdx_id": found.licence,
        "url": None,
        "node_id": "",
    }
    return {
        "id": len(name) * 7919,
        "name": found.name,
        "full_name": name,
        "private": False,
        "owner": summary(found.owner, "Organization"),
        "html_url": f"https://github.com/{name}",
        "description": found.description,
        "fork": False,
        "created_at": found.created.strftime(STAMP),
        "updated_at": found.pushed.strftime(STAMP),
        "pushed_at": found.pushed.strftime(STAMP),
        "homepage": found.homepage or None,
        "size": 512,
        "stargazers_count": found.stars,
        "watchers_count": found.stars,
        "language": found.language,
        "forks_count": found.forks,
        "archived": False,
        "disabled": False,
        "open_issues_count": 3,
        "license": licence,
        "topics": list(found.topics),
        "visibility": "public",
        "default_branch": "main",
    }


def page(request: Request, rows: list[dict[str, Any]]) -> Response:
    """One page of a listing, with a Link header where others follow."""
    size = bounded(request.parameter("per_page", "30"), MOST_PER_PAGE)
    number = bounded(request.parameter("page", "1"), 10_000)
    shown = rows[(number - 1) * size : number * size]
    if number * size >= len(rows):
        return respond(shown)
    following = f"https://{request.host}{request.path}?per_page={size}&page={number + 1}"
    return respond(shown, ("Link", f'<{following}>; rel="next"'))


def bounded(text: str, most: int) -> int:
    return min(most, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else 1


PROVIDER = Provider(id="github_org", hosts=("api.github.com",), answer=answer)
