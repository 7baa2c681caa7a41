"""Whose a message is: what names a thing of one workspace in the name of another has no effect.

A service knows by its own rows whose the things are that messages name (`Handles.owners`). A message of another
workspace is left out before any handler sees it: accepted, so that it does not come again, counted, and said.
"""

from collections.abc import Sequence
from typing import Any

import structlog

from services.kernel import metrics
from services.kernel.messages import EVERYWHERE
from services.kernel.service import Handles, Received
from services.kernel.sql import Reader

#: How such messages are counted.
FOREIGN = "foreign"

#: Which consumers hear what is about no workspace, and what is about one.
_MAY = {True: {"also", "only"}, False: {"never", "also"}}

_log = structlog.get_logger(__name__)


async def own(handles: Handles, consumer: str, view: Reader, received: Sequence[Received[Any]]) -> list[Received[Any]]:
    """Those of the messages that come from the workspace of what they name, in their order."""
    ours = [each for each in received if handles.everywhere in _MAY[each.workspace == EVERYWHERE]]
    if handles.owners is not None and ours:
        owners = await handles.owners(view, ours)
        ours = [each for each, owner in zip(ours, owners, strict=True) if owner in {None, each.workspace}]
    if len(ours) < len(received):
        foreign = {str(each.workspace) for each in received if each not in ours}
        metrics.left_out(consumer, FOREIGN, len(received) - len(ours))
        _log.error(
            "messages of another workspace have no effect",
            consumer=consumer, messages=len(received) - len(ours), workspaces=sorted(foreign)[:10],
        )  # fmt: skip
    return ours
