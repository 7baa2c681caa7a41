"""The workspace that a request names, by its name or its id, in the header `services.kernel.openapi.WORKSPACE`."""

from typing import Final
from uuid import UUID

from services.kernel.errors import Invalid
from services.kernel.messages import EVERYWHERE, workspace_id
from services.kernel.openapi import WORKSPACE

#: The longest name of a workspace, in bytes.
LONGEST_NAME: Final = 200


def read_workspace(named: bytes) -> UUID:
    """The workspace that a header names, as it was sent: names are UTF-8, as on the command line.

    Raises:
        Invalid: it names none.
    """
    try:
        workspace = _by_id(named.decode()) or workspace_id(named.decode())
    except UnicodeDecodeError:
        raise Invalid(f"{WORKSPACE} is not UTF-8") from None
    if workspace == EVERYWHERE or not named or len(named) > LONGEST_NAME:
        raise Invalid(f"{WORKSPACE} names no workspace")
    return workspace


def _by_id(named: str) -> UUID | None:
    try:
        return UUID(named) if len(named) == 36 else None
    except ValueError:
        return None
