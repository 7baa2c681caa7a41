"""What a workspace has set of confidence."""

from uuid import UUID

import msgspec
from msgspec import Struct

from services.correlation.domain.policy import USUAL, Policy
from services.kernel.sql import Reader, Tx

_COLUMNS = ("workspace", "reliability", "half_lives", "at", "who", "reason")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, float]).decode


class SetPolicy(Struct, frozen=True):
    """A policy with who has set it last, when (UTC microseconds) and why; 0 where nobody has."""

    policy: Policy = USUAL
    at: int = 0
    who: str = ""
    reason: str = ""


async def read_policy(view: Reader, workspace: UUID) -> SetPolicy:
    row = await view.fetch_one(
        "SELECT reliability, half_lives, at, who, reason FROM confidence_policy WHERE workspace = :workspace",
        workspace=workspace.bytes,
    )
    if row is None:
        return SetPolicy()
    return SetPolicy(Policy(reliability=_decode(row[0]), half_lives=_decode(row[1])), *row[2:])


async def write_policy(tx: Tx, workspace: UUID, said: SetPolicy) -> None:
    texts = (_encode(said.policy.reliability).decode(), _encode(said.policy.half_lives).decode())
    row = (workspace.bytes, *texts, said.at, said.who, said.reason)
    await tx.bulk_upsert("confidence_policy", _COLUMNS, _COLUMNS[:1], [row], dict.fromkeys(_COLUMNS[1:], "replace"))
