"""What the services of a fleet are told of the outside, and of how much to say: kept in its folder.

The first ``fleet up`` takes it from where an embedded Mirage would (environment, configuration file), since it is the
same user who will scan. From then on it changes only where somebody says so, whatever the shell of the next one has:
a proxy that is left out by chance would show sources who asks.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.contracts.settings import CollectorSettings
from services.gateway.usecases.proxies import trusted_by
from services.kernel.adapters import open_egress
from services.kernel.errors import Invalid
from services.kernel.folder import write_private
from services.kernel.server import masked
from services.kernel.settings import DEFAULTS, PREFIX, read_settings

FILE: Final = "settings.json"
#: Where Python's packages are, if not in a folder of the fleet's own; no setting of a process, but of its launcher,
#: and never taken over unasked: whoever changes packages there changes them below processes that run.
VENV: Final = "venv"
NAMES: Final = (
    *("proxy", "no_proxy", "resolvers", "dial_table", "ca_file", "user_agent", "log", "trusted_proxies"),
    VENV,
)
#: Files and folders: services run elsewhere than whoever names them.
_PATHS: Final = frozenset({"dial_table", "ca_file", VENV})
#: Where no configuration file is: it would be that of the user as whom Nomad runs.
_NOWHERE: Final = {"XDG_CONFIG_HOME": "/nonexistent"}

#: Settings by name, as variables of the environment have them; those that are not there have their defaults.
Told = Mapping[str, str]


class Choice(Struct, frozen=True):
    """What services are told from now on, and sentences about what changes by that, or is not taken.

    ``first``: nothing was kept before.
    """

    told: Told
    remarks: tuple[str, ...]
    first: bool = False


def choose(folder: Path, changes: Mapping[str, str | None], environ: Mapping[str, str]) -> Choice:
    """What is set for the fleet in ``folder``, with ``changes``; an empty text takes a setting back.

    None sets it as it is in the environment or the configuration file: a password is not for a command line.

    Raises:
        Invalid: there is no such setting, or it cannot be that.
    """
    kept = _read(folder / FILE)
    around = _around(environ)
    here = {VENV: environ.get(f"{PREFIX}VENV", ""), **around}
    said = {name: _checked(name, here.get(name, "") if value is None else value) for name, value in changes.items()}
    before = around if kept is None else kept
    told = {name: value for name, value in {**before, **said}.items() if value}
    remarks = [
        f"{name} was {_shown(before, name)} and is {_shown(told, name)}"
        for name in NAMES
        if told.get(name) != before.get(name)
    ]
    remarks += [
        f"{name} stays {_shown(told, name)}, though it is {_shown(around, name)} here: --set {name} takes that over"
        for name in NAMES
        if kept is not None and name not in said and name in around and around[name] != told.get(name)
    ]
    return Choice(told, tuple(remarks), first=kept is None)


def keep(folder: Path, told: Told) -> None:
    """Have it stay so, whatever the next shell has."""
    write_private(folder / FILE, msgspec.json.format(msgspec.json.encode(told)).decode())


def environment(told: Told) -> dict[str, str]:
    """What the processes of services have in their environment by that; the proxy, which may have a password, is none.

    No configuration file is read there.
    """
    shown = {name: value for name, value in told.items() if name not in {"proxy", VENV}}
    return {**{f"{PREFIX}{name.upper()}": value for name, value in shown.items()}, **_NOWHERE}


def _around(environ: Mapping[str, str]) -> dict[str, str]:
    """What is set for whoever brings the fleet up."""
    settings = read_settings({}, environ)
    found = {name: _text(getattr(settings, name)) for name in NAMES if name in DEFAULTS}
    found = {name: value for name, value in found.items() if value != _text(DEFAULTS[name])}
    return {name: _absolute(name, value) for name, value in found.items() if value}


def _checked(name: str, value: str) -> str:
    if name not in NAMES:
        raise Invalid(f"there is no setting {name} of a fleet; there are {', '.join(NAMES)}")
    if not value:
        return ""
    return _absolute(name, value if name == VENV else _sound(name, value))


def _sound(name: str, value: str) -> str:
    """A setting as it is written, once services could begin with it."""
    settings = read_settings({}, {**_NOWHERE, f"{PREFIX}{name.upper()}": value})
    open_egress(settings)
    trusted_by(settings)
    if settings.ca_file and not Path(settings.ca_file).expanduser().is_file():
        raise Invalid(f"there is no file {settings.ca_file}")
    try:
        msgspec.convert({"resolvers": settings.resolvers}, CollectorSettings)
    except msgspec.ValidationError:
        raise Invalid(f"resolvers are ADDRESS or ADDRESS:PORT, with commas between them, and not {value}") from None
    return _text(getattr(settings, name))


def _absolute(name: str, value: str) -> str:
    return str(Path(value).expanduser().absolute()) if name in _PATHS else value


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _shown(told: Told, name: str) -> str:
    return masked(told[name]) if name in told else "the default"


def _read(file: Path) -> dict[str, str] | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{file} cannot be read: {error}") from None
