"""What lets in at servers: of the environment, else of a file that its user alone reads; never in what is said."""

import asyncio
import stat
import time
from pathlib import Path
from uuid import UUID

import pytest

from services.cli.credentials import (
    FILE,
    SPARE,
    Credentials,
    Kept,
    LoggedInHere,
    find_credentials,
    keep_credentials,
    keep_workspace,
    server_url,
    session_of,
)
from services.contracts.resources import LoggedIn
from services.kernel.errors import Invalid, NotFound, Unauthenticated, Unavailable

HERE, THERE = "http://localhost:8080", "https://mirage.example"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


class Server:
    """Gives out the next pair of tokens for the last refresh token, and counts how often."""

    def __init__(self) -> None:
        self.asked = 0
        self.good = "refresh-0"
        self.lasts = 600.0
        self.away = False
        self.left = "nowhere"
        self.workspaces: list[str] = []

    def given(self, workspace: str = "default") -> LoggedIn:
        return LoggedIn(
            session=UUID(int=1), access=f"access-{self.asked}", expires=int((time.time() + self.lasts) * 1_000_000),
            refresh=self.good, account=UUID(int=2), email="jo@example.org", name="Jo", workspace=UUID(int=3),
            workspace_name=workspace, roles=("owner",),
        )  # fmt: skip

    async def refresh(self, token: str, workspace: str) -> LoggedIn:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("it is away")
        if token != self.good:
            raise Unauthenticated("this session is over")
        self.workspaces.append(workspace)
        if workspace == self.left:
            raise NotFound("you belong to no such workspace")
        self.asked += 1
        self.good = f"refresh-{self.asked}"
        return self.given(workspace or "default")


async def never(token: str, workspace: str) -> LoggedIn:
    raise AssertionError


async def bearer(credentials: Credentials) -> str:
    return await credentials.bearer("", never)


async def test_what_is_kept_of_a_server_is_found_again(environ: dict[str, str], tmp_path: Path) -> None:
    assert await keep_credentials(HERE, Kept(token="first"), environ) is None
    await keep_credentials(THERE, Kept(token="second"), environ)
    before = await keep_credentials(HERE, Kept(token="third"), environ)
    assert before is not None
    assert before.token == "first"
    assert await bearer(find_credentials(HERE, environ)) == "third"
    assert await bearer(find_credentials(THERE, environ)) == "second"
    assert await bearer(find_credentials(THERE, {**environ, "MIRAGE_TOKEN": "said"})) == "said"
    for file in (tmp_path / "mirage" / FILE, tmp_path / "mirage/servers.lock"):
        assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    await keep_credentials(HERE, None, environ)
    with pytest.raises(Invalid, match=f"you are not logged in at {HERE}: mirage login --server {HERE}"):
        find_credentials(HERE, environ)


async def test_a_session_is_refreshed_when_its_token_ends_and_by_one_at_a_time(environ: dict[str, str]) -> None:
    server = Server()
    server.lasts = SPARE - 1
    await keep_credentials(HERE, session_of(server.given(), ""), environ)
    server.lasts = 600
    many = [LoggedInHere(HERE, environ) for _ in range(5)]
    assert await asyncio.gather(*(each.bearer("", server.refresh) for each in many)) == ["access-1"] * 5
    assert server.asked == 1
    assert await many[0].bearer("acme", server.refresh) == "access-2", "another workspace"
    assert await many[1].bearer("", never) == "access-1"
    assert await many[1].bearer("acme", never) == "access-2"


async def test_a_session_goes_on_in_the_workspace_that_is_kept_unless_another_one_is_named(
    environ: dict[str, str],
) -> None:
    server = Server()
    server.lasts = 0
    await keep_credentials(HERE, session_of(server.given(), ""), environ)
    assert await keep_workspace(HERE, "acme", environ)
    kept = LoggedInHere(HERE, environ)
    for named, asked in (("", "acme"), ("umbrella", "umbrella"), ("", "acme")):
        await kept.bearer(named, server.refresh)
        assert server.workspaces[-1] == asked
    server.left = "acme"
    await kept.bearer("", server.refresh)
    assert server.workspaces[-2:] == ["acme", ""]
    await kept.bearer("", server.refresh)
    assert server.workspaces[-1] == "default"


async def test_a_token_is_kept_with_no_workspace(environ: dict[str, str]) -> None:
    await keep_credentials(HERE, Kept(token="said"), environ)
    assert not await keep_workspace(HERE, "acme", environ)
    assert not await keep_workspace(THERE, "acme", environ)
    assert await bearer(find_credentials(HERE, environ)) == "said"


async def test_a_token_that_is_refused_is_replaced_once(environ: dict[str, str]) -> None:
    server = Server()
    await keep_credentials(HERE, session_of(server.given(), ""), environ)
    one, other = LoggedInHere(HERE, environ), LoggedInHere(HERE, environ)
    assert await one.bearer("", never) == "access-0"
    assert await one.bearer("", server.refresh, instead_of="access-0") == "access-1"
    assert await other.bearer("", never, instead_of="access-0") == "access-1"


async def test_a_session_that_is_over_is_forgotten_and_one_whose_server_is_away_is_not(environ: dict[str, str]) -> None:
    server = Server()
    server.lasts = 0
    await keep_credentials(HERE, session_of(server.given(), ""), environ)
    kept = LoggedInHere(HERE, environ)
    server.away = True
    with pytest.raises(Unavailable):
        await kept.bearer("", server.refresh)
    server.away, server.good = False, "another"
    with pytest.raises(Unauthenticated, match=f"this session is over: mirage login --server {HERE}"):
        await kept.bearer("", server.refresh)
    with pytest.raises(Invalid, match="you are not logged in"):
        find_credentials(HERE, environ)


async def test_a_token_is_one_word(environ: dict[str, str]) -> None:
    assert await bearer(find_credentials(HERE, {"MIRAGE_TOKEN": " said\n"})) == "said"
    for text in (" ", "two words", "a\nb", "é", "a\x00"):
        with pytest.raises(Invalid, match="that is no token") as refused:
            find_credentials(HERE, {"MIRAGE_TOKEN": text})
        assert text.strip() not in str(refused.value) or not text.strip()


async def test_a_token_that_is_refused_has_no_other(environ: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match="lets nobody in any more"):
        await find_credentials(HERE, {"MIRAGE_TOKEN": "said"}).bearer("", never, instead_of="said")


@pytest.mark.parametrize("content", ["{", "[]", "5", '{"http://localhost:8080": "a token of an earlier version"}'])
async def test_a_file_that_is_none_is_named_and_left_alone(
    environ: dict[str, str], tmp_path: Path, content: str
) -> None:
    file = tmp_path / "mirage" / FILE
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(Invalid, match="is not a file of servers"):
        find_credentials(HERE, environ)
    with pytest.raises(Invalid, match="is not a file of servers"):
        await keep_credentials(HERE, Kept(token="b"), environ)
    assert file.read_text() == content


def test_nothing_secret_is_shown() -> None:
    assert "hunter2" not in repr(Kept(token="hunter2", refresh="hunter2"))


@pytest.mark.parametrize("text", ["http://localhost:8080", "https://mirage.example", "http://[::1]:8080/"])
def test_the_address_of_a_server_is_taken(text: str) -> None:
    assert server_url(text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8080", "ftp://a", "http://", "http://a/api", "http://a?b", "http://a#b", "http://a:0", "http://a:x",
        "http://[::1", "http://user:hunter2@a", "http://:hunter2@a", "http://a:99999",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not the address of a server") as refused:
        server_url(text)
    assert "hunter2" not in str(refused.value)
