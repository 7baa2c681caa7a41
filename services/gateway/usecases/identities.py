"""Who asks: whose token it is, by the keys that auth publishes, as long as it is known what was revoked.

An access token is verified here; of a script's token auth is asked. Either is remembered by its digest until it ends,
ten minutes at most, and let in only while nothing that it is about was revoked since it was given. A heartbeat on the
bus says which revocation is the last; without one for `SILENCE` seconds, or with one that is not known here yet, nobody
is let in who needs a token.

Who is answered for longer than that, as who watches a stream, is told when his script's token is over, and after a day
as a person, since only auth knows when a session is; and so is everybody when nothing was heard for so long that auth
may have forgotten what was revoked meanwhile.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from services.contracts.access import (
    ACCESS_SECONDS,
    ACCESS_TYPE,
    ISSUER,
    SCRIPT,
    of_account,
    of_member,
    of_session,
    of_token,
)
from services.contracts.endpoints import CHECK_TOKEN, LIST_REVOCATIONS, PUBLISH_KEYS
from services.contracts.permissions import ACCOUNT, ROLES, Role, permissions_of
from services.contracts.progress import Heartbeat
from services.contracts.resources import RevocationsQuery, TokenDigest
from services.kernel.bus import Bus
from services.kernel.calls import ANYBODY, Caller, Calls, Nothing
from services.kernel.errors import Denied, NotFound, Unauthenticated, Unavailable
from services.kernel.messages import EVERYWHERE, SKEW, message_type
from services.kernel.openapi import WORKSPACE
from services.kernel.remembered import remember
from services.kernel.tokens import digest_of, kind_of
from services.kernel.workspace import read_workspace

if TYPE_CHECKING:
    from joserfc.jwk import GuestProtocol, OKPKey
    from joserfc.jwt import Token

#: Seconds without a heartbeat after which it is not known what was revoked.
SILENCE: Final = 5.0
#: Seconds between two looks at auth's keys, which a token of an unknown one asks for.
KEYS_EVERY: Final = 1.0
#: Tokens that are remembered, the last ones, and the longest one that is looked at.
REMEMBERED: Final = 10_000
LONGEST: Final = 8192
#: Seconds for which auth is not asked again of a script's token that it does not know.
UNKNOWN: Final = 5.0
#: Seconds for which one is answered at most, and between two looks at whose time is over.
LONGEST_WATCH: Final = 86_400.0
LOOK_EVERY: Final = 1.0

#: The headers that say who asks, and where.
IDENTIFYING: Final = (b"authorization", WORKSPACE.lower().encode())
_BEARER: Final = re.compile(r"Bearer +([\x21-\x7e]+) *", re.IGNORECASE | re.ASCII)
_BAD: Final = "this token lets nobody in: log in again, or make another one"

_log = structlog.get_logger(__name__)


class _UnknownKey(Exception):
    """A token names a key that is not known here."""


class Claims(Struct, frozen=True):
    """What an access token says; ``rev``: the last revocation that was known when it was given."""

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    iat: int
    exp: int
    name: str
    roles: tuple[str, ...]
    rev: int
    wsp: UUID = EVERYWHERE


class Known(Struct, frozen=True):
    """A token that was checked: who has it, until when (seconds of the epoch), and the last revocation known then."""

    caller: Caller
    until: float
    revoked: int


def subjects_of(caller: Caller) -> tuple[str, ...]:
    """What of somebody who was let in may be revoked."""
    if caller.account is None or caller.session is None:
        return ()
    by = of_token(caller.session) if caller.kind == "token" else of_session(caller.session)
    return by, of_account(caller.account), of_member(caller.account, caller.workspace)


class Identities:
    """Tells who asks by ``calls`` to auth; ``follow`` has to run beside it."""

    def __init__(
        self, calls: Calls, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._steady = steady
        self._asking = Caller(EVERYWHERE, "gateway").through("gateway")
        self._known: dict[bytes, Known] = {}
        #: Digests of tokens that auth does not know, and until when that is believed.
        self._unknown: dict[bytes, float] = {}
        self._revoked: dict[str, int] = {}
        #: Whoever waits for a subject to be revoked, and until when each may wait (seconds of the epoch).
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._over_at: dict[asyncio.Event, float] = {}
        #: When scripts' tokens are over, by their ids.
        self._ends: dict[UUID, float] = {}
        #: The last revocation that is known here, and the moment of the last heartbeat that said that it is the last.
        self._last = 0
        self._heard = float("-inf")
        self._keys: dict[str, OKPKey] = {}
        self._keys_read = float("-inf")
        self._reading = asyncio.Lock()

    async def identify(self, headers: Mapping[str, str], address: str) -> Caller:
        """Who asks, by his token, from an address; nobody, where there is none.

        Raises:
            Unauthenticated: the token is not good.
            Denied: it is good in another workspace.
            Unavailable: it cannot be known now whether it is.
        """
        caller = self.recall(headers, address)
        if caller is not None:
            return caller
        token = _token(headers["authorization"])
        digest = digest_of(token)
        known = self._known.get(digest)
        if known is None or self._clock() >= known.until:
            known = await self._check(token, digest)
        if self._is_revoked(known) and known.caller.kind == "token":
            known = await self._check(token, digest)  # what its maker may has changed: auth knows what it may now
        if self._is_revoked(known):
            raise Unauthenticated(_BAD)
        return _as_asked(known, headers, address)

    def recall(self, headers: Mapping[str, str], address: str) -> Caller | None:
        """Who asks, as `identify` has it, where that is known here; None where a token has to be looked at."""
        said = headers.get("authorization")
        if said is None:
            return Caller(EVERYWHERE, "nobody", permissions=frozenset({ANYBODY}), address=address)
        token = _token(said)
        if not token:
            raise Unauthenticated("Authorization says: Bearer, and a token")
        self._see_that_it_is_known()
        known = self._known.get(digest_of(token))
        if known is None or self._clock() >= known.until or self._is_revoked(known):
            return None
        return _as_asked(known, headers, address)

    @contextmanager
    def watched(self, caller: Caller) -> Iterator[asyncio.Event]:
        """While this is open, the event is set once something of a caller who was let in is revoked, or over."""
        revoked, subjects = asyncio.Event(), subjects_of(caller)
        for subject in subjects:
            self._watched.setdefault(subject, set()).add(revoked)
        if subjects:
            self._over_at[revoked] = self._over(caller)
        try:
            yield revoked
        finally:
            self._over_at.pop(revoked, None)
            for subject in subjects:
                self._watched[subject].discard(revoked)
                if not self._watched[subject]:
                    del self._watched[subject]

    def look(self) -> None:
        """Tell those whose time is over; and all, once it cannot be known any more what was revoked."""
        now = self._clock()
        nothing_is_known = self._steady() - self._heard > ACCESS_SECONDS
        for each, over in self._over_at.items():
            if nothing_is_known or now >= over:
                each.set()

    def _over(self, caller: Caller) -> float:
        """Until when a caller may be answered."""
        longest = self._clock() + LONGEST_WATCH
        if caller.kind != "token" or caller.session is None:
            return longest
        return min(longest, self._ends.get(caller.session, self._clock() + ACCESS_SECONDS))

    def _is_revoked(self, known: Known) -> bool:
        return bool(self._revoked) and any(
            self._revoked.get(subject, 0) > known.revoked for subject in subjects_of(known.caller)
        )

    def _see_that_it_is_known(self) -> None:
        if self._steady() - self._heard > SILENCE:
            raise Unavailable("it is not known at this moment which tokens are good: try again in a few seconds")

    async def _check(self, token: str, digest: bytes) -> Known:
        known = await (self._check_script(token, digest) if kind_of(token) else self._check_access(token))
        remember(self._known, digest, known, REMEMBERED)
        return known

    async def _check_script(self, token: str, digest: bytes) -> Known:
        if kind_of(token) != SCRIPT or self._steady() < self._unknown.get(digest, 0.0):
            raise Unauthenticated(_BAD)
        try:
            holder = await self._calls.ask(CHECK_TOKEN, TokenDigest(digest), self._asking)
        except NotFound as error:
            remember(self._unknown, digest, self._steady() + UNKNOWN, REMEMBERED)
            raise Unauthenticated(_BAD) from error
        remember(self._ends, holder.id, holder.expires / 1_000_000, REMEMBERED)
        may = frozenset(holder.permissions) | {ANYBODY}
        return Known(
            Caller(holder.workspace, holder.name, "token", may, holder.account, session=holder.id),
            min(holder.expires / 1_000_000, self._clock() + ACCESS_SECONDS),
            holder.revoked,
        )

    async def _check_access(self, token: str) -> Known:
        from joserfc.errors import JoseError

        try:
            try:
                read = self._decode(token)
            except _UnknownKey:
                await self._read_keys()
                read = self._decode(token)
            claims = msgspec.convert(read.claims, Claims)
        except (JoseError, _UnknownKey, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unauthenticated(_BAD) from error
        good = claims.iss == claims.aud == ISSUER and read.header.get("typ") == ACCESS_TYPE
        if not good or not claims.iat - SKEW <= self._clock() < claims.exp or claims.exp - claims.iat > ACCESS_SECONDS:
            raise Unauthenticated(_BAD)
        roles: list[Role] = [role for role in ROLES if role in claims.roles]
        may = permissions_of(*roles) | {ACCOUNT, ANYBODY}
        return Known(
            Caller(claims.wsp, claims.name, "person", may, claims.sub, session=claims.sid),
            claims.exp,
            claims.rev,
        )

    def _decode(self, token: str) -> "Token":
        from joserfc import jwt

        def find(signed: "GuestProtocol") -> "OKPKey":
            kid = str(signed.headers().get("kid"))
            if kid not in self._keys:
                raise _UnknownKey
            return self._keys[kid]

        return jwt.decode(token, find, algorithms=["Ed25519"])

    async def _read_keys(self) -> None:
        """Read the keys of auth, unless that was done a moment ago."""
        from joserfc.jwk import OKPKey

        async with self._reading:
            if self._steady() - self._keys_read < KEYS_EVERY:
                return
            published = await self._calls.ask(PUBLISH_KEYS, Nothing(), self._asking)
            self._keys = {str(key["kid"]): OKPKey.import_key(key) for key in published.keys}
            self._keys_read = self._steady()

    # --- what was revoked ---

    async def follow(self, bus: Bus) -> None:
        """Know what is revoked: all of it once, and then whatever a heartbeat says is new."""
        beats = bus.replay([f"{message_type(Heartbeat)}.>"], after=None)
        self.look()
        looking = asyncio.create_task(self._look_on())
        try:
            await self._catch_up()
            async for _, envelope in beats:
                try:
                    await self.hear(msgspec.json.decode(envelope.data, type=Heartbeat))
                except Unavailable as error:  # the next one comes in a second
                    _log.warning("what was revoked cannot be known", reason=str(error))
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await beats.aclose()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.look()

    async def hear(self, beat: Heartbeat) -> None:
        """Take a heartbeat of now, which counts once all is known that it knows of."""
        if abs(self._clock() - beat.at / 1_000_000) > SILENCE + SKEW:
            return  # one that waited somewhere says nothing of today
        self.look()  # while it is known for how long nothing was heard
        if beat.last != self._last:
            await self._catch_up()
        if beat.last <= self._last:
            self._heard = self._steady()

    async def _catch_up(self) -> None:
        found = await self._calls.ask(LIST_REVOCATIONS, RevocationsQuery(self._last), self._asking)
        if found.last < self._last:
            _log.warning("fewer revocations are known than before", last=found.last, before=self._last)
            self._known.clear()
            found = await self._calls.ask(LIST_REVOCATIONS, RevocationsQuery(0), self._asking)
        self._note((each.subject, each.number) for each in found.revoked)
        self._last = found.last

    def _note(self, revoked: Iterable[tuple[str, int]]) -> None:
        """Keep what is revoked for as long as what was given before may be good: a number is a time, or later."""
        if len(self._revoked) >= REMEMBERED:
            over = (self._clock() - ACCESS_SECONDS - 60) * 1_000_000
            self._revoked = {subject: number for subject, number in self._revoked.items() if number > over}
        for subject, number in revoked:
            self._revoked[subject] = max(number, self._revoked.get(subject, 0))
            for each in self._watched.get(subject, ()):
                each.set()


def _token(said: str) -> str:
    """The token in a header; nothing where there is none."""
    found = _BEARER.fullmatch(said)
    return found[1] if found and len(found[1]) <= LONGEST else ""


def _as_asked(known: Known, headers: Mapping[str, str], address: str) -> Caller:
    """Whoever has a token, from where he asks; `Denied` where he asks in another workspace."""
    workspace = headers.get("mirage-workspace")
    if workspace is not None and read_workspace(workspace.encode("latin-1")) != known.caller.workspace:
        raise Denied("this token is for another workspace: log in there, or make a token there")
    return msgspec.structs.replace(known.caller, address=address)
