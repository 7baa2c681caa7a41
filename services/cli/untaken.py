"""Targets that no module of a scan takes, and what would take them, in words."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from services.cli.text import clean, count
from services.contracts.claims import Entity, Malformed
from services.contracts.entities import host_of, registered_domain
from services.contracts.plan import PROFILES, Profile
from services.contracts.resources import Module, NewScan
from services.contracts.targets import recognise

#: Types of targets, as people call many of them.
CALLED: Final = {
    "hostname": "host names",
    "ip_address": "IP addresses",
    "netblock": "networks",
    "asn": "AS numbers",
    "url": "URLs",
    "email_address": "e-mail addresses",
    "username": "user names",
    "phone_number": "phone numbers",
    "crypto_address": "crypto addresses",
}


def described(new: NewScan, targets: Iterable[Entity], planned: Collection[str], modules: Iterable[Module]) -> str:
    """A sentence about the targets that nobody is asked about: why, and what to say instead; empty when all are."""
    known = list(modules)
    usable = [module for module in known if module.enabled and module.live]
    chosen = [module for module in known if module.declared.id in planned]
    left = [target for target in targets if not _takers(target, chosen)]
    if not left:
        return ""
    more = f" and {count(len(left) - 1, 'other target')}" if len(left) > 1 else ""
    types = " or ".join(CALLED.get(each, f"{each}s") for each in dict.fromkeys(target.type for target in left))
    if new.modules:
        why = f"none of the modules that --module names takes {types}"
    elif new.exclude and _takers(left[0], _of_profile(new.profile, usable)):
        why = f"no source that --exclude leaves takes {types}"
    else:
        why = f"no source of the profile {new.profile} takes {types}"
    instead = list(_instead(new, left, chosen, usable))
    advice = f"; try {' or '.join(instead)}" if instead else ""
    return f"nobody is asked about {clean(left[0].value)}{more}: {why}{advice}"


def _instead(new: NewScan, left: Sequence[Entity], chosen: Sequence[Module], usable: Sequence[Module]) -> Iterator[str]:
    if not new.modules and not new.exclude:
        wider = (name for name in PROFILES if _takers(left[0], _of_profile(name, usable)))
        yield from (f"--profile {name}" for name in list(wider)[:1])
    domain = _domain_of(left[0])
    if domain is not None and _takers(domain, chosen):
        yield f"the domain {domain.value} as the target"
    elif new.modules and _takers(left[0], _of_profile(new.profile, usable)):
        yield "it without --module"


def _of_profile(profile: Profile, modules: Iterable[Module]) -> list[Module]:
    return [module for module in modules if module.declared.activity in PROFILES[profile]]


def _takers(target: Entity, modules: Iterable[Module]) -> list[Module]:
    """The modules that are asked about a target itself, or about what it says of the world at once."""
    subjects = _subjects(target)
    return [module for module in modules if not subjects.isdisjoint(module.declared.consumes)]


def _subjects(target: Entity) -> set[str]:
    match target.type:
        case "url":
            host = _host(target)
            return {"url"} if host is None else {"url"} | _subjects(host)
        case "hostname":
            return {"hostname", "level", "names"}
        case "domain":
            return {"domain", "names"}
    return {target.type}


def _host(url: Entity) -> Entity | None:
    try:
        return recognise(host_of(url.key[0]))
    except Malformed:
        return None


def _domain_of(target: Entity) -> Entity | None:
    host = _host(target) if target.type == "url" else target
    try:
        return registered_domain(host.key[0]) if host is not None and host.type == "hostname" else None
    except Malformed:
        return None
