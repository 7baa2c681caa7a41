"""What a scan will do: targets, scope and modules, decided once when it is made."""

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Final
from uuid import UUID, uuid5

from msgspec import Struct

from services.contracts.authorisations import LONGEST_WINDOW, USUAL_WINDOW, Authorisation
from services.contracts.claims import Entity, Malformed
from services.contracts.evidence import DIGEST_BYTES
from services.contracts.plan import PROFILES, Plan, PlannedModule
from services.contracts.resources import Module, NewScan, PreviewedModule
from services.contracts.scope import ACTIVITIES, scope
from services.contracts.targets import recognise
from services.kernel.errors import Invalid
from services.kernel.hostport import split_host_port

MOST_TARGETS: Final = 100_000
_LONGEST: Final = 4096
NOT_ASKED_FOR: Final = "it was not asked for"
#: The shortest prefix of a network that a scan takes: the largest that the registries give to one holder.
WIDEST: Final = {4: 8, 6: 16}
_LONGEST_SCAN: Final = 1e9


class Choice(Struct, frozen=True):
    """The modules that a scan will ask, and for each other one why not."""

    taken: tuple[Module, ...]
    left_out: dict[str, str]


def read_targets(new: NewScan) -> tuple[Entity, ...]:
    """The entities that the targets mean, each once, in the order given; `Invalid` names the first that is none."""
    if not new.targets:
        raise Invalid("a scan needs at least one target")
    if len(new.targets) > MOST_TARGETS:
        raise Invalid(f"a scan takes at most {MOST_TARGETS} targets; {len(new.targets)} were given")
    try:
        found = [recognise(text, new.type) for text in new.targets]
    except Malformed as error:
        raise Invalid(str(error)) from error
    return tuple({(entity.type, entity.key): entity for entity in found}.values())


def choose(new: NewScan, modules: Iterable[Module]) -> Choice:
    """Restrict the live and enabled modules by profile, authorisation, ``modules`` and ``exclude``."""
    known = {module.declared.id: module for module in modules}
    check_selectors((*new.modules, *new.exclude), known)
    check_techniques(new, known.values())
    taken, left_out = [], {}
    for name, module in sorted(known.items()):
        reason = _why_not(new, module)
        if reason:
            left_out[name] = reason
        else:
            taken.append(module)
    return Choice(tuple(taken), left_out)


def check_selectors(selectors: Iterable[str], known: Iterable[str]) -> None:
    """Raise `Invalid`, with the nearest name there is, for one that is neither a module nor an activity."""
    names = {*known, *ACTIVITIES}
    for selector in selectors:
        if selector not in names:
            from difflib import get_close_matches

            near = get_close_matches(selector[:64], sorted(names), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Invalid(f"there is no module or activity {selector[:64]!a}{hint}")


def check_techniques(new: NewScan, modules: Iterable[Module]) -> None:
    """Raise `Invalid` for one that is no active module, or that nobody authorises."""
    active = {module.declared.id for module in modules if module.declared.activity == "active"}
    for technique in new.techniques:
        if technique not in active:
            raise Invalid(f"{technique[:64]!a} is no active module; there are {', '.join(sorted(active))}")
    if new.authorised is None and (new.techniques or new.authorised_from or new.authorised_until):
        raise Invalid("techniques and a window are those of an authorisation: say who allows them, and why")


def plan_scan(
    scan: UUID, workspace: UUID, new: NewScan, targets: tuple[Entity, ...], taken: Sequence[Module], at: int
) -> Plan:
    """Freeze what was chosen; ``targets`` are those of ``new``, see `read_targets`.

    `Invalid` says what is wrong with the scope or the limits.
    """
    limits = new.limits
    if (
        limits.max_depth < 0
        or limits.max_items < 1
        or not (limits.timeout is None or 0 < limits.timeout <= _LONGEST_SCAN)
    ):
        raise Invalid("the limits of a scan are positive numbers; only the depth may be 0")
    try:
        reach = scope(targets, includes=new.scope, excludes=new.exclude_scope, networks=new.networks)
    except Malformed as error:
        raise Invalid(str(error)) from error
    _check_extent([*(target.key[0] for target in targets if target.type == "netblock"), *reach.includes])
    for target in targets:
        if reach.rules_out(target):
            raise Invalid(f"{target.value} is a target and excluded at once")
    for resolver in new.resolvers:
        _check_resolver(resolver)
    return Plan(
        scan=scan,
        profile=new.profile,
        targets=targets,
        scope=reach,
        modules=tuple(planned(module) for module in taken),
        limits=limits,
        salt=salt_of(workspace, targets),
        resolvers=new.resolvers,
        words=_digest(new.words),
        authorisation=_authorise(new, scan, taken, at),
    )


def _authorise(new: NewScan, scan: UUID, taken: Sequence[Module], at: int) -> Authorisation | None:
    """What was authorised: the active modules that were chosen, within the window."""
    if new.authorised is None:
        return None
    if not new.authorised.strip():
        raise Invalid("an authorisation says who allowed active work, and why")
    begins = max(at, new.authorised_from or at)
    until = new.authorised_until or begins + USUAL_WINDOW
    if not begins < until <= begins + LONGEST_WINDOW:
        raise Invalid("the window of an authorisation ends after it begins and after now, and within a year")
    techniques = tuple(sorted(each.declared.id for each in taken if each.declared.activity == "active"))
    return Authorisation(new.authorised[:_LONGEST], at, uuid5(scan, "authorisation"), techniques, begins, until)


def _check_extent(rules: Iterable[str]) -> None:
    """Refuse networks that are wider than any that one holder has: what is found in them never comes to an end."""
    for rule in rules:
        if "/" not in rule:
            continue
        network = ip_network(rule)
        widest = WIDEST[network.version]
        if network.prefixlen < widest:
            bits = network.max_prefixlen - network.prefixlen
            raise Invalid(
                f"{rule} is 2^{bits} addresses, which no scan would come to the end of: name networks of /{widest} or"
                " longer, or the organisation's names and its AS number"
            )


def _digest(words: str | None) -> bytes | None:
    """The sha256 that ``words`` is, in hexadecimal digits."""
    if words is None:
        return None
    try:
        digest = bytes.fromhex(words)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise Invalid(f"{words[:80]!a} is not the sha256 of a word list, 64 hexadecimal digits")
    return digest


def _check_resolver(text: str) -> None:
    """Whether a resolver is written as an address, or an address and a port (IPv6 addresses then in brackets)."""
    try:
        ip_address(split_host_port(text, 53)[0])
    except ValueError:
        raise Invalid(f"{text[:100]!a} is no resolver: say ADDRESS or ADDRESS:PORT") from None


def planned(module: Module) -> PlannedModule:
    """A module with its configuration as it is now."""
    declared = module.declared
    return PlannedModule(
        id=declared.id,
        version=declared.version,
        activity=declared.activity,
        consumes=declared.consumes,
        produces=declared.produces,
        options={**declared.options, **module.options},
        rate=declared.rate,
        cost=declared.cost,
        concurrency=declared.concurrency,
        timeout=declared.timeout,
        missing_key="" if module.has_key else declared.key or "",
        key_required=declared.key_required,
        affiliates=declared.affiliates,
    )


def salt_of(workspace: UUID, targets: Iterable[Entity]) -> str:
    """The same for the same targets in the same workspace, so that the same scan twice asks for the same probes."""
    lines = sorted(entity.id.hex() for entity in targets)
    return hashlib.sha256("\n".join([workspace.hex, *lines]).encode()).hexdigest()[:32]


def preview(module: Module, subjects: Sequence[Entity], left: int | None = None) -> PreviewedModule:
    """What it costs to ask ``module`` about ``subjects``, who learns what by it, and what the source's quotas leave."""
    declared = module.declared
    asked = sum(subject.type in declared.consumes for subject in subjects)
    missing = "" if module.has_key else declared.key or ""
    blocked = missing and declared.key_required
    return PreviewedModule(
        id=declared.id,
        title=declared.title,
        activity=declared.activity,
        consumes=declared.consumes,
        produces=declared.produces,
        requests=0.0 if blocked else asked * declared.cost,
        rate=declared.rate,
        tells=_tells(module),
        learns=declared.consumes,
        missing_key=missing,
        key_adds=_key_adds(module) if missing else "",
        left=left,
    )


def _why_not(new: NewScan, module: Module) -> str:
    declared = module.declared
    if not module.live:
        return "no collector has it"
    if not module.enabled:
        return "it is disabled in this workspace"
    if new.modules and declared.id not in new.modules and declared.activity not in new.modules:
        return NOT_ASKED_FOR
    if declared.activity not in PROFILES[new.profile]:
        return f"it is {declared.activity}, which the profile {new.profile} leaves out"
    if declared.activity == "active" and not new.authorised:
        return "it is active, and nobody authorised active work"
    if declared.activity == "active" and new.techniques and declared.id not in new.techniques:
        return "it is active, and not among the techniques that were authorised"
    if declared.id in new.exclude or declared.activity in new.exclude:
        return "it was excluded"
    return ""


def _tells(module: Module) -> tuple[str, ...]:
    declared = module.declared
    if declared.hosts:
        return declared.hosts
    match declared.activity:
        case "dns" | "guess":
            return ("recursive resolvers",)
        case "active":
            return ("the target",)
    return ()


def _key_adds(module: Module) -> str:
    """What is not had without the key; of a module that was announced before it said so, nothing."""
    declared = module.declared
    parts = (
        "without it this source is not asked" if declared.key_required else "",
        f"it adds {declared.key_adds}" if declared.key_adds else "",
    )
    return "; ".join(filter(None, parts))
