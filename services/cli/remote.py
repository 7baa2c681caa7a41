"""The services behind a server: the same questions over HTTP, through the gateway of a fleet."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from time import monotonic
from typing import Any, Final, Literal, Self
from uuid import uuid4

import structlog

from services.cli.credentials import Credentials
from services.cli.hull import Hull
from services.contracts.endpoints import REFRESH, SHOW_CALLER
from services.contracts.resources import LoggedIn, Refresh
from services.kernel.calls import ANYBODY, A, Caller, Calls, Endpoint, Q
from services.kernel.errors import Invalid, Unauthenticated, Unavailable
from services.kernel.http_calls import Broken, Http, Unheard
from services.kernel.http_questions import EVENTS, Asked, read_answer, read_events, read_problem, write_question
from services.kernel.messages import workspace_id
from services.kernel.openapi import KEY, WORKSPACE
from services.kernel.pauses import pauses
from services.kernel.request import SECONDS
from services.kernel.settings import Settings

PREFIX: Final = "/api"
#: Seconds for which a server may be away before a command that follows something gives up.
PATIENCE: Final = 120.0
#: Seconds for which a single question is asked again of a server that has answered before.
ONE_QUESTION: Final = 15.0
#: Seconds that the server has beyond those of a question.
GRACE: Final = 2.0
#: Seconds in which a server answers that it is there.
PINGING: Final = 5.0

_log = structlog.get_logger(__name__)


class RemoteCalls(Calls):
    """Asks the gateway at ``url``, in the workspace that is named, or the one in which ``credentials`` let in."""

    def __init__(self, url: str, credentials: Credentials, workspace: str = "") -> None:
        self._url = url
        self._credentials = credentials
        self._workspace = workspace
        self._http = Http()
        self._answered = False

    async def ping(self) -> None:
        """Raise `Unavailable` unless it answers."""
        asked = Asked("GET", f"{PREFIX}/openapi.json", None)
        try:
            async with self._http.request(self._url, asked, {}, PINGING) as answer:
                if answer.status != 200:
                    raise Unavailable(f"{self._url} answers with status {answer.status}: is this a server of Mirage?")
        except TimeoutError:
            raise Unavailable(f"{self._url} did not answer within {PINGING:g} s") from None

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        """Ask; where the server goes away, again, as far as that does no harm: a gateway may be begun anew.

        What must not be done twice has a key, by which the server knows it again. One that has not answered yet may
        not exist, which is said at once.
        """
        key = (
            str(uuid4()) if endpoint.method == "POST" and endpoint.needs != ANYBODY and not endpoint.idempotent else ""
        )
        end = monotonic() + min(seconds, ONE_QUESTION)
        refused = ""
        for pause in pauses(0.1, 2.0):
            token = ""
            try:
                token = await self._bearer(endpoint, instead_of=refused)
                return await self._ask_once(endpoint, question, token, seconds, key)
            except Unauthenticated:
                if refused or not token:
                    raise
                refused = token  # it may have been revoked: another one may not be
            except (Unheard, Broken) as error:
                harmless = endpoint.idempotent or bool(key) or isinstance(error, Unheard)
                if not (self._answered and harmless and monotonic() + pause < end):
                    raise
                _log.info("asked again", name=endpoint.name, reason=str(error))
                await asyncio.sleep(pause)
        raise AssertionError  # pauses do not end

    async def _bearer(self, endpoint: Endpoint[Any, Any], *, instead_of: str = "") -> str:
        """The token for a question; nothing where everybody may ask it, and there need be none."""
        if endpoint.needs == ANYBODY and endpoint != SHOW_CALLER:
            return ""
        return await self._credentials.bearer(self._workspace, self._refresh, instead_of=instead_of)

    async def _refresh(self, token: str, workspace: str) -> LoggedIn:
        return await self._ask_once(REFRESH, Refresh(refresh=token, workspace=workspace), "", 30.0)

    async def _ask_once(self, endpoint: Endpoint[Q, A], question: Q, token: str, seconds: float, key: str = "") -> A:
        headers = {**self._headers(token), SECONDS: f"{seconds:.3f}", **({KEY: key} if key else {})}
        asked = self._asked(endpoint, question)
        try:
            async with self._http.request(self._url, asked, headers, seconds + GRACE) as answer:
                body = await answer.read()
        except TimeoutError:
            raise Unavailable(f"{self._url} did not answer {endpoint.name} within {seconds:g} s") from None
        self._answered = True
        if key and answer.status == 409 and "retry-after" in answer.headers:
            raise Broken(f"{self._url} has not done {endpoint.name} yet")  # which was asked of it before
        if answer.status != 200:
            raise read_problem(endpoint.service, answer.status, body)
        return read_answer(endpoint, body)

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        asked, token = self._asked(endpoint, question), await self._bearer(endpoint)
        headers = {**self._headers(token), "Accept": EVENTS}
        async with self._http.request(self._url, asked, headers, None) as answer:
            if answer.status != 200:
                raise read_problem(endpoint.service, answer.status, await answer.read())
            async with aclosing(read_events(endpoint, answer.content.iter_any(), endpoint.service)) as parts:
                async for part in parts:
                    yield part

    async def close(self) -> None:
        await self._http.close()

    def _asked(self, endpoint: Endpoint[Q, Any], question: Q) -> Asked:
        asked = write_question(endpoint, question)
        return Asked(asked.method, PREFIX + asked.target, asked.body)

    def _headers(self, token: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if token and self._workspace:
            headers[WORKSPACE] = str(workspace_id(self._workspace))
        return headers


class RemoteHull(Hull):
    """A fleet: its scans go on whoever looks, and what is lost is asked again when it is back."""

    def __init__(self, settings: Settings, url: str, credentials: Credentials, workspace: str = "") -> None:
        super().__init__(settings)
        self._remote = RemoteCalls(url, credentials, workspace)

    @property
    def calls(self) -> Calls:
        return self._remote

    @property
    def nearest(self) -> Calls:
        return self._remote

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._remote.close()

    async def somebody_works(self) -> bool:
        return True

    @asynccontextmanager
    async def held(self, what: Literal["relays", "segments"]) -> AsyncIterator[None]:
        raise Invalid("a fleet is backed up database by database, not from here")
        yield

    async def lost(self, error: Unavailable) -> bool:
        """Whether the server is back after ``error``, within `PATIENCE`."""
        _log.info("the server is away", reason=str(error))
        try:
            async with asyncio.timeout(PATIENCE):
                for pause in pauses(0.5, 5.0):
                    await asyncio.sleep(pause)
                    try:
                        await self._remote.ping()
                    except Unavailable:
                        continue
                    return True
        except TimeoutError:
            return False
        return False
