"""What the configuration answers."""

import os
from collections.abc import Callable
from typing import Any, Final

import msgspec

from services.configuration import store
from services.configuration.domain import (
    LONGEST_REASON,
    change,
    check_key,
    check_key_changer,
    check_scale,
    check_settings_changer,
    hint,
    settings_form,
    unknown,
)
from services.configuration.settings import INSTANCES
from services.configuration.usecases.project import (
    keys_of_environment,
    open_key,
    project_keys,
    project_settings,
    waker,
)
from services.contracts import endpoints as e
from services.contracts.resources import ChangeSettings, KeyName, KeyView, NewKey, SettingsRef, SettingsView
from services.contracts.settings import SETTINGS
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports

#: Changes in a list, the newest.
MOST: Final = 200


async def list_keys(ports: Ports, caller: Caller, question: Nothing) -> tuple[KeyView, ...]:
    async with ports.sql.read() as view:
        kept = {key.name: _key_view(ports, key) for key in await store.read_keys(view)}
    given = keys_of_environment(os.environ)
    kept |= {name: KeyView(name=name, source="environment", hint=hint(secret)) for name, secret in given.items()}
    return tuple(kept[name] for name in sorted(kept))


def _key_view(ports: Ports, key: store.SealedKey) -> KeyView:
    opens = open_key(ports, key.name, key.sealed) is not None
    return KeyView(name=key.name, source="stored", hint=key.hint, opens=opens)


async def set_key(ports: Ports, caller: Caller, question: NewKey) -> KeyView:
    """Keep a key, sealed.

    Raises:
        Denied: it is one of logins, which the operator alone sets. Invalid: it cannot be one.
    """
    check_key_changer(question.name, operates=caller.kind == "operator")
    secret = check_key(question.name, question.secret)
    key = store.SealedKey(question.name, ports.seal.seal(question.name, secret), hint(secret))
    async with ports.outbox.unit() as unit:
        await store.write_key(unit.tx, key, now())
    await _share(ports, project_keys)
    return KeyView(name=key.name, source="stored", hint=key.hint)


async def remove_key(ports: Ports, caller: Caller, question: KeyName) -> Nothing:
    check_key_changer(question.name, operates=caller.kind == "operator")
    async with ports.outbox.unit() as unit:
        if not await store.remove_key(unit.tx, question.name):
            raise NotFound(f"no key {question.name[:64]} is kept")
    await _share(ports, project_keys)
    return Nothing()


async def list_settings(ports: Ports, caller: Caller, question: Nothing) -> tuple[SettingsView, ...]:
    async with ports.sql.read() as view:
        kept = {each.service: each for each in await store.read_settings(view)}
    return tuple(_view(name, kept.get(name)) for name in sorted(SETTINGS))


async def get_settings(ports: Ports, caller: Caller, question: SettingsRef) -> SettingsView:
    settings_form(question.service)
    async with ports.sql.read() as view:
        kept = await store.read_changes(view, question.service, 1)
    return _view(question.service, kept[0] if kept else None)


async def change_settings(ports: Ports, caller: Caller, question: ChangeSettings) -> SettingsView:
    """Set values of a service.

    Raises:
        Denied: they are those of logins, which the operator alone sets. Invalid: they cannot be set so.
        Conflict: they were changed since they had the version that is named.
    """
    check_settings_changer(question.service, operates=caller.kind == "operator")
    if len(question.reason) > LONGEST_REASON:
        raise Invalid(f"a reason has {LONGEST_REASON} characters at most")
    async with ports.outbox.unit() as unit:
        await unit.tx.lock(f"settings of {question.service}")
        kept = await store.read_changes(unit.tx, question.service, 1)
        before, version = (kept[0].values, kept[0].version) if kept else ({}, 0)
        if question.version not in {None, version}:
            raise Conflict(f"{question.service} is at version {version} of its settings, not {question.version}")
        after = change(question.service, before, question.values)
        check_scale(after, INSTANCES)
        said = {**unknown(question.service, before, question.values), **_said(after)}
        changed = store.Change(question.service, version + 1, said, caller.name, question.reason, now())
        await store.write_change(unit.tx, changed)
    await _share(ports, project_settings)
    return _view(question.service, changed)


async def list_settings_changes(ports: Ports, caller: Caller, question: SettingsRef) -> tuple[SettingsView, ...]:
    settings_form(question.service)
    async with ports.sql.read() as view:
        return tuple(_view(each.service, each) for each in await store.read_changes(view, question.service, MOST))


async def _share(ports: Ports, projection: Callable[[Ports], Any]) -> None:
    """Bring it to where it is watched before the answer; where that is away, as soon as it is back."""
    try:
        await projection(ports)
    except Unavailable:
        waker(ports).set()


def _said(settings: msgspec.Struct) -> dict[str, Any]:
    """The values that are not defaults."""
    said, defaults = _plain(settings), _plain(type(settings)())
    return {name: value for name, value in said.items() if value != defaults[name]}


def _plain(settings: msgspec.Struct) -> dict[str, Any]:
    """As JSON has it."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return plain


def _view(service: str, kept: store.Change | None) -> SettingsView:
    defaults = _plain(settings_form(service)())
    if kept is None:
        return SettingsView(service=service, version=0, values=defaults)
    values = {**defaults, **kept.values}
    return SettingsView(
        service=service, version=kept.version, values=values, by=kept.by, reason=kept.reason, at=kept.at
    )


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.LIST_KEYS: list_keys,
    e.SET_KEY: set_key,
    e.REMOVE_KEY: remove_key,
    e.LIST_SETTINGS: list_settings,
    e.GET_SETTINGS: get_settings,
    e.CHANGE_SETTINGS: change_settings,
    e.LIST_SETTINGS_CHANGES: list_settings_changes,
}
