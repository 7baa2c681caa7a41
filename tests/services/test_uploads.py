"""What may be kept of a workspace bounds what is uploaded to it, too."""

from pathlib import Path
from typing import Any

import pytest

from services.catalogue import load_embedded
from services.collector.api import upload
from services.contracts import endpoints as e
from services.contracts.resources import SetQuotas, Upload
from services.kernel.calls import Caller, Endpoint, operator
from services.kernel.errors import Conflict, Unavailable
from services.kernel.messages import workspace_id
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings

OURS, THEIRS = operator(workspace_id("ours")), operator(workspace_id("theirs"))


async def test_a_word_list_for_which_there_is_no_room_is_refused_and_others_have_theirs(tmp_path: Path) -> None:
    async with Runtime(load_embedded(), Settings(data=str(tmp_path / "data")), works=False) as runtime:
        ask = runtime.calls.ask
        await ask(e.SET_QUOTAS, SetQuotas(workspace=OURS.workspace, storage=1000), OURS)
        await ask(e.UPLOAD, Upload(b"a" * 600), OURS)
        with pytest.raises(Conflict, match="may keep 1000 bytes of evidence and word lists, and has 600"):
            await ask(e.UPLOAD, Upload(b"b" * 600), OURS)
        await ask(e.UPLOAD, Upload(b"b" * 400), OURS)
        await ask(e.UPLOAD, Upload(b"c" * 6000), THEIRS)


class Away:
    """Nobody answers."""

    async def ask(self, endpoint: Endpoint[Any, Any], question: object, caller: Caller, **more: object) -> Any:
        raise Unavailable(f"{endpoint.service} is away")


async def test_while_users_is_away_what_it_said_last_holds_and_where_it_never_did_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Runtime(load_embedded(), Settings(data=str(tmp_path / "data")), works=False) as runtime:
        await runtime.calls.ask(e.SET_QUOTAS, SetQuotas(workspace=OURS.workspace, storage=1000), OURS)
        await runtime.calls.ask(e.UPLOAD, Upload(b"a" * 600), OURS)
        ports = runtime.ports["collector"]
        monkeypatch.setattr(ports, "calls", Away())
        await upload(ports, OURS, Upload(b"b" * 400))
        with pytest.raises(Conflict, match="may keep 1000 bytes"):
            await upload(ports, OURS, Upload(b"c" * 600))
        with pytest.raises(Unavailable):
            await upload(ports, THEIRS, Upload(b"d"))
