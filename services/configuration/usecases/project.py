"""Brings what is kept to where services watch it, again whenever it is not there: the database is the truth."""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from services.configuration.domain import check_key, hint
from services.configuration.store import SealedKey, read_keys, read_settings, write_key
from services.contracts.keys import KEYS, PROJECTED
from services.contracts.settings import SETTINGS as FORMS
from services.kernel.errors import Corrupt, Invalid, MirageError
from services.kernel.folder import KEYS as KEYS_FILE
from services.kernel.live import SETTINGS
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.values import LONGEST_TOGETHER, TOGETHER

#: A key in the environment: this, and its name in capitals. It wins over one that is kept.
PREFIX: Final = "MIRAGE_KEY_"
#: Seconds between two looks whether all is there.
EVERY: Final = 30.0

_log = structlog.get_logger(__name__)


def keys_of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets of keys in the environment, by name; what cannot be a key is left out."""
    found: dict[str, str] = {}
    for variable, secret in sorted(environ.items()):
        if variable.startswith(PREFIX) and secret.strip():
            name = variable.removeprefix(PREFIX).lower()
            try:
                found[name] = check_key(name, secret)
            except Invalid as error:
                _log.warning("a variable holds no key", variable=variable, reason=str(error))
    return found


def waker(ports: Ports) -> asyncio.Event:
    """Set when something was changed."""
    return ports.event("changed")


async def project(ports: Ports) -> None:
    """Keep what services watch as the database has it, as long as the process runs."""
    await take_over_file(ports)
    wake = waker(ports)
    while True:
        wake.clear()
        try:
            await project_keys(ports)
            await project_settings(ports)
        except MirageError as error:
            _log.warning("settings are not shared", reason=str(error))
        try:
            async with asyncio.timeout(EVERY):
                await wake.wait()
        except TimeoutError:
            continue


async def project_keys(ports: Ports) -> None:
    """Share all keys, sealed; those of the environment are sealed here."""
    async with ports.sql.begin() as tx:
        await tx.lock("projection of keys")  # so that nobody shares what was read before what is shared now
        kept = {key.name: key.sealed for key in await read_keys(tx)}
        there = {name: each.value for name, each in (await ports.values.read(KEYS)).items()}
        wanted = {KEYS + name: sealed.encode() for name, sealed in kept.items()}
        for name, secret in keys_of_environment(os.environ).items():
            before = there.get(KEYS + name, b"").decode("ascii", "replace")
            sealed = before if open_key(ports, name, before) == secret else ports.seal.seal(name, secret)
            wanted[KEYS + name] = sealed.encode()
        await _bring(ports, there, {**wanted, PROJECTED: b"1"})


async def project_settings(ports: Ports) -> None:
    """Share how each service is set."""
    async with ports.sql.begin() as tx:
        await tx.lock("projection of settings")
        kept = [each for each in await read_settings(tx) if each.service in FORMS]
        there = {name: each.value for name, each in (await ports.values.read(SETTINGS)).items()}
        await _bring(ports, there, {SETTINGS + each.service: msgspec.json.encode(each.values) for each in kept})


async def _bring(ports: Ports, there: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
    """Write what differs, in as many pieces as it needs; the mark that all is there comes last."""
    changes: dict[str, bytes | None] = {name: None for name in there if name not in wanted}
    changes |= {name: value for name, value in wanted.items() if there.get(name) != value}
    piece: dict[str, bytes | None] = {}
    size = 0
    for name in sorted(changes, key=lambda name: (name == PROJECTED, name)):
        length = len(changes[name] or b"")
        if len(piece) == TOGETHER or (piece and size + length > LONGEST_TOGETHER):
            await ports.values.put_all(piece)
            piece, size = {}, 0
        piece[name] = changes[name]
        size += length
    if piece:
        await ports.values.put_all(piece)


def open_key(ports: Ports, name: str, sealed: str) -> str | None:
    """The secret of a key, None when it was sealed under another master key."""
    try:
        return ports.seal.open(name, sealed)
    except Corrupt:
        return None


async def take_over_file(ports: Ports) -> None:
    """Take in the keys that a version before this one kept in a file of the data folder, and remove it."""
    file = ports.settings.folder / KEYS_FILE
    if ports.settings.sql or not file.exists():
        return
    try:
        keys = {name: check_key(name, secret) for name, secret in json.loads(file.read_text("utf-8")).items()}
    except (ValueError, AttributeError, TypeError, Invalid) as error:
        _log.error("a file of keys cannot be read", file=str(file), reason=str(error))
        return
    async with ports.sql.begin() as tx:
        for name, secret in keys.items():
            await write_key(tx, SealedKey(name, ports.seal.seal(name, secret), hint(secret)), now())
    file.unlink()


TASKS: Final = (project,)
