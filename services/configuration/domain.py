"""What may be a provider key and a setting; what is shown of a secret."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.contracts.settings import ServiceSettings, settings_type
from services.kernel.errors import Invalid

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SERVICE: Final = re.compile(r"[a-z]{2,32}")
LONGEST_SECRET: Final = 4096
LONGEST_REASON: Final = 500


def check_key(name: str, secret: str) -> str:
    """The secret as it is kept; `Invalid`, which never quotes it, for a name or secret that cannot be one."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a key: small letters, digits and underscores")
    secret = secret.strip()
    if not secret or len(secret) > LONGEST_SECRET or not (secret.isascii() and secret.isprintable()):
        raise Invalid("a key is one line of printable ASCII characters")
    return secret


def hint(secret: str) -> str:
    """What may be shown of a secret: its last characters, and only of a long one."""
    return f"…{secret[-4:]}" if len(secret) >= 16 else "…"


def change(service: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> ServiceSettings:
    """What is set of a service once ``values`` were taken over; those that are None go back to their defaults.

    Raises:
        Invalid: a value has another form, or there is no such value or service.
    """
    if not _SERVICE.fullmatch(service):
        raise Invalid(f"{service[:64]!r} is no service")
    after = {name: value for name, value in {**before, **values}.items() if value is not None}
    try:
        return msgspec.convert(after, settings_type(service))
    except msgspec.ValidationError as error:
        names = ", ".join(settings_type(service).__struct_fields__)
        raise Invalid(f"{service} cannot be set so: {error} (there are {names})") from error
