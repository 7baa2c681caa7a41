"""Gravatar's profiles by the SHA-256 of a mail address (https://docs.gravatar.com/rest/api-data-specifications)."""

from hashlib import sha256

import msgspec

from lab.providers import Provider, Request, Response, json
from lab.world import Person, World

LIMITS = (("X-RateLimit-Limit", "100"), ("X-RateLimit-Remaining", "87"), ("X-RateLimit-Reset", "1793620800"))
LABELS = {"github": "GitHub", "mastodon": "Mastodon", "twitter": "X", "linkedin": "LinkedIn"}
MOST_UNAUTHENTICATED = 4


def answer(world: World, request: Request) -> Response | None:
    wanted = request.path.removeprefix("/v3/profiles/")
    if wanted == request.path:
        return None
    for person in world.organisation.people:
        if person.gravatar and wanted in {sha256(person.email.encode()).hexdigest(), person.gravatar}:
            return limited(json(profile(person, world.organisation.name)))
    return limited(json({"error": "Profile not found", "code": "not_found"}, status=404))


def limited(response: Response) -> Response:
    return msgspec.structs.replace(response, headers=response.headers + LIMITS)


def profile(person: Person, company: str) -> dict[str, object]:
    """What is shown without a key."""
    digest = sha256(person.email.encode()).hexdigest()
    accounts = [account for account in person.accounts if account.platform in LABELS][:MOST_UNAUTHENTICATED]
    return {
        "hash": digest,
        "display_name": person.name,
        "profile_url": f"https://gravatar.com/{person.gravatar}",
        "avatar_url": f"https://0.gravatar.com/avatar/{digest}",
        "avatar_alt_text": "",
        "location": person.city,
        "description": person.bio,
        "job_title": person.title,
        "company": company,
        "verified_accounts": [
            {
                "service_type": account.platform,
                "service_label": LABELS[account.platform],
                "service_icon": f"https://gravatar.com/icons/{account.platform}.svg",
                "url": account.url,
                "is_hidden": False,
            }
            for account in accounts
        ],
        "pronunciation": "",
        "pronouns": "",
    }


PROVIDER = Provider(id="gravatar", hosts=("api.gravatar.com",), answer=answer)
