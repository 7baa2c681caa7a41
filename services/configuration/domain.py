"""What may be a provider key and a setting; what is shown of a secret."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.contracts.keys import OF_LOGINS
from services.contracts.settings import SETTINGS, DiscoverySettings, ServiceSettings
from services.kernel.errors import Denied, Invalid
from services.kernel.wording import fault_of

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
LONGEST_SECRET: Final = 4096
LONGEST_REASON: Final = 500
#: The service by whose settings people log in.
LOGINS: Final = "auth"


def check_key(name: str, secret: str) -> str:
    """The secret as it is kept; `Invalid`, which never quotes it, for a name or secret that cannot be one."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a key: small letters, digits and underscores")
    secret = secret.strip()
    if not secret or len(secret) > LONGEST_SECRET or not (secret.isascii() and secret.isprintable()):
        raise Invalid("a key is one line of printable ASCII characters")
    return secret


def check_key_changer(name: str, *, operates: bool) -> None:
    """Raise `Denied` for who may set no key that this is called; who ``operates`` the machine may."""
    if name.startswith(OF_LOGINS) and not operates:
        _refuse("keys of login providers are", f"keys set {name}", f"key {name}")


def check_settings_changer(service: str, *, operates: bool) -> None:
    """Raise `Denied` for who may not set this service."""
    if service == LOGINS and not operates:
        _refuse("how people log in is", f"settings set {service}", f"settings {service}")


def _refuse(what: str, on_data: str, on_fleet: str) -> None:
    """A person may set much, and scripts for him; but who sets a provider of logins can be anybody by it."""
    verbs = f"`mirage {on_data}` on the data folder, or `mirage fleet {on_fleet}`"
    raise Denied(f"{what} set by the operator, on the machine itself: {verbs}")


def hint(secret: str) -> str:
    """What may be shown of a secret: its last characters, and only of a long one."""
    return f"…{secret[-4:]}" if len(secret) >= 16 else "…"


def settings_form(service: str) -> type[ServiceSettings]:
    """The form of a service's settings.

    Raises:
        Invalid: it has none.
    """
    if service not in SETTINGS:
        raise Invalid(f"{service[:64]!r} has no settings; {', '.join(SETTINGS)} have")
    return SETTINGS[service]


def change(service: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> ServiceSettings:
    """What is set of a service once ``values`` were taken over; those that are None go back to their defaults.

    What this version does not know of ``before`` is left out: see `unknown`.

    Raises:
        Invalid: a value has another form, or there is no such value or service.
    """
    form = settings_form(service)
    known = {name: value for name, value in before.items() if name in form.__struct_fields__}
    after = {name: value for name, value in {**known, **values}.items() if value is not None}
    try:
        return msgspec.convert(after, form)
    except msgspec.ValidationError as error:
        names = ", ".join(form.__struct_fields__)
        raise Invalid(f"{service} cannot be set so: {fault_of(error, form)} (there are {names})") from error


def unknown(service: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What a newer version was told, which was taken back and may come again; kept until it is set to None."""
    fields = settings_form(service).__struct_fields__
    return {name: value for name, value in before.items() if name not in fields and name not in values}


def check_scale(settings: ServiceSettings, instances: Mapping[str, tuple[int, int]]) -> None:
    """Raise `Invalid` unless each service can have what is set; ``instances``: its least and most, by its job."""
    for name, asked in settings.scale.items() if isinstance(settings, DiscoverySettings) else ():
        if name not in instances:
            raise Invalid(f"{name[:64]!r} is no service that is scaled; there are {', '.join(instances)}")
        least, most = instances[name]
        if asked.least < least or asked.most > most:
            raise Invalid(f"{name} has {least} to {most} instances, which its job is bound to")
