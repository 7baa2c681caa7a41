"""The rules of a workspace: those that come with Mirage, and its own."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.resources.correlation import RuleRef, RuleRow, RuleView, SetRule, WrittenRule
from services.correlation.domain.confidence import Judge
from services.correlation.domain.forms import AnyRule, category_of, read_any, title_of
from services.correlation.domain.rule import Rule
from services.correlation.domain.spiderfoot.rule import SpiderFootRule
from services.correlation.store import rules as store
from services.correlation.store.policy import read_policy
from services.correlation.store.rules import Kept
from services.correlation.store.shipped import shipped_rules, shipped_texts
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Invalid, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.trail import say_about

#: Under which name a process keeps the rules that it judges by in place of those that come with Mirage.
CHOSEN: Final = "rules"
#: Rules that a workspace may have of its own.
MOST: Final = 500


class InForce(Struct, frozen=True):
    """By what scans of a workspace are judged; ``digest`` is the same as long as that is."""

    rules: Sequence[Rule]
    spiderfoot: Sequence[SpiderFootRule]
    judge: Judge
    digest: bytes


async def in_force(ports: Ports, workspace: UUID, began: int = 0) -> InForce:
    """By what scans of a workspace are judged, as of when one of them ``began``."""
    async with ports.sql.read() as view:
        kept = await store.read_rules(view, workspace)
        policy = (await read_policy(view, workspace)).policy
    chosen: Sequence[Rule] | None = ports.state.get(CHOSEN)
    ours = shipped_rules() if chosen is None else {rule.id: rule for rule in chosen}
    wanted: dict[str, AnyRule] = {
        name: rule for name, rule in ours.items() if name not in kept or kept[name].text or kept[name].enabled
    }
    for name, each in kept.items():
        if each.text is not None and each.enabled and (rule := _readable(each.text)) is not None:
            wanted[name] = rule
    described = [(rule.id, rule.version, kept[name].at if name in kept else 0) for name, rule in sorted(wanted.items())]
    return InForce(
        rules=tuple(rule for _, rule in sorted(wanted.items()) if isinstance(rule, Rule)),
        spiderfoot=tuple(rule for _, rule in sorted(wanted.items()) if isinstance(rule, SpiderFootRule)),
        judge=Judge(policy, now=began),
        digest=hashlib.blake2b(msgspec.json.encode([described, policy]), digest_size=16).digest(),
    )


def _readable(text: str) -> AnyRule | None:
    """A rule that was kept; None where a newer version of Mirage reads it no longer."""
    try:
        return read_any(text)
    except Invalid:
        return None


async def list_rules(ports: Ports, caller: Caller, _: Nothing) -> tuple[RuleRow, ...]:
    """All rules, by their ids; of those that cannot be read any more what is known."""
    kept = await _kept(ports, caller.workspace)
    rows = {name: _row(rule, kept.get(name), own=False) for name, rule in shipped_rules().items()}
    for name, each in kept.items():
        if each.text is not None:
            rule = _readable(each.text)
            rows[name] = _row(rule, each, own=True) if rule else _unreadable(name, each)
    return tuple(row for _, row in sorted(rows.items()))


async def get_rule(ports: Ports, caller: Caller, question: RuleRef) -> RuleView:
    kept = (await _kept(ports, caller.workspace)).get(question.rule)
    if kept is not None and kept.text is not None:
        try:
            return RuleView(rule=_row(read_any(kept.text), kept, own=True), text=kept.text)
        except Invalid as error:
            return RuleView(rule=_unreadable(question.rule, kept), text=kept.text, fault=str(error))
    rule = shipped_rules().get(question.rule)
    if rule is None:
        raise _unknown(question.rule)
    return RuleView(rule=_row(rule, kept, own=False), text=shipped_texts()[rule.id])


async def write_rule(ports: Ports, caller: Caller, question: WrittenRule) -> RuleRow:
    """Keep a rule; scans are judged by it from now on, those that there are when somebody asks for their findings.

    Raises:
        Invalid: it is none.
        Conflict: it has the id of one that comes with Mirage, or there are too many.
    """
    rule = read_any(question.text)
    if rule.id in shipped_rules():
        raise Conflict(f"a rule {rule.id} comes with Mirage; give yours another id, and let that one be out of force")
    say_about(rule=rule.id)
    async with ports.outbox.unit() as unit:
        await unit.tx.lock(f"rules|{caller.workspace.hex}")
        there = await store.read_rules(unit.tx, caller.workspace)
        if rule.id not in there and sum(each.text is not None for each in there.values()) >= MOST:
            raise Conflict(f"a workspace has at most {MOST} rules of its own")
        kept = Kept(question.text, enabled=True, who=caller.name, at=now())
        await store.write_rule(unit.tx, caller.workspace, rule.id, kept)
    return _row(rule, kept, own=True)


async def set_rule(ports: Ports, caller: Caller, question: SetRule) -> RuleRow:
    """Let a rule be in force, or not."""
    view = await get_rule(ports, caller, RuleRef(question.rule))
    say_about(rule=view.rule.id)
    async with ports.outbox.unit() as unit:
        kept = Kept(view.text if view.rule.own else None, question.enabled, caller.name, now())
        await store.write_rule(unit.tx, caller.workspace, view.rule.id, kept)
    return msgspec.structs.replace(view.rule, enabled=question.enabled)


async def remove_rule(ports: Ports, caller: Caller, question: RuleRef) -> Nothing:
    """Remove a rule of one's own; its findings go when their scans are judged again."""
    view = await get_rule(ports, caller, question)
    if not view.rule.own:
        raise Conflict(f"{question.rule} comes with Mirage; it can be let out of force")
    say_about(rule=view.rule.id)
    async with ports.outbox.unit() as unit:
        await store.drop_rule(unit.tx, caller.workspace, question.rule)
    return Nothing()


async def find_rule(ports: Ports, workspace: UUID, name: str) -> AnyRule:
    """The rule with an id, in force or not.

    Raises:
        NotFound: there is none that can be read.
    """
    kept = (await _kept(ports, workspace)).get(name)
    rule: AnyRule | None = _readable(kept.text) if kept is not None and kept.text else None
    chosen: Sequence[Rule] = ports.state.get(CHOSEN) or ()
    known: Mapping[str, Rule] = shipped_rules() | {each.id: each for each in chosen}
    found = rule or known.get(name)
    if found is None:
        raise _unknown(name)
    return found


async def _kept(ports: Ports, workspace: UUID) -> dict[str, Kept]:
    async with ports.sql.read() as view:
        return await store.read_rules(view, workspace)


def _unknown(name: str) -> NotFound:
    from difflib import get_close_matches

    near = get_close_matches(name, shipped_rules(), n=1)
    return NotFound(f"there is no rule {name[:80]}" + (f"; did you mean {near[0]}?" if near else ""))


def row_of(rule: AnyRule) -> RuleRow:
    """A rule that is not kept."""
    return _row(rule, None, own=True)


def _row(rule: AnyRule, kept: Kept | None, *, own: bool) -> RuleRow:
    return RuleRow(
        id=rule.id,
        version=rule.version,
        title=title_of(rule),
        category=category_of(rule),
        severity=rule.severity,
        form="mirage" if isinstance(rule, Rule) else "spiderfoot",
        own=own,
        enabled=kept.enabled if kept is not None else True,
    )


def _unreadable(name: str, kept: Kept) -> RuleRow:
    return RuleRow(
        id=name,
        version=0,
        title="cannot be read any more",
        category="",
        severity="info",
        form="mirage",
        own=True,
        enabled=kept.enabled,
    )
