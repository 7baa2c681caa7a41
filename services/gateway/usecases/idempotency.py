"""A POST with an ``Idempotency-Key`` is done once, however often it comes.

As draft-ietf-httpapi-idempotency-key-header-07 has it.
The first answer is kept for a day under who asks, his workspace, the path, and the key, with a digest of the body, and
for some minutes where it is a no. The same again gets the same answer. What was not done, or may not have been, is not
kept: it may be tried again.

What is kept is limited, for each account and in all, far below what the cache has room for: nobody's answers are
forgotten because of those of others. Where there is no room, a question with a new key is refused.

Whoever reads the fleet's cache learns nothing by it: the names of answers are digests, and answers, in which there may
be what is shown only once, are sealed under a key that only gateways have.
"""

import asyncio
import hashlib
import hmac
import os
import re
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from services.kernel.asgi import App, Headers, Message, Receive, Scope, Send
from services.kernel.cache import Bucket, Cache
from services.kernel.calls import Caller
from services.kernel.errors import Conflict, Invalid, Limited, MirageError, Unavailable
from services.kernel.openapi import KEY, KEY_FORM, Problem
from services.kernel.problems import headers_of, make_problem, problem_of, send_problem

#: Seconds for which an answer is kept, one that is a no, and for which a question is done that got none: it has 30 once
#: it was read.
KEPT: Final = 86_400.0
KEPT_NO: Final = 600.0
CLAIMED: Final = 60.0
#: Bytes of the largest answer that is kept.
LARGEST: Final = 65_536
#: What of one account is kept of a day, in bytes, and how much one answer counts at least.
ROOM: Final = Bucket(rate=2_097_152 / KEPT, burst=2_097_152)
LEAST: Final = 512
#: What of all is kept of a day in a fleet, and in one process: what was saved up and what comes within the day is twice
#: that, and each answer costs some hundred bytes more. Redis has 200 MB for everything, a process 32 MB for these.
IN_FLEET: Final = Bucket(rate=25_165_824 / KEPT, burst=25_165_824)
IN_PROCESS: Final = Bucket(rate=8_388_608 / KEPT, burst=8_388_608)
#: Headers of an answer that are a part of it.
_OF_ANSWER: Final = frozenset({b"content-type", b"location", b"etag"})
#: Of a question, those that ask for another form of its answer, or for none.
_OF_FORM: Final = frozenset({b"accept-encoding", b"if-none-match", b"range"})
#: What says that it is worth another try, or that nobody knows who asks.
_TRY_AGAIN: Final = frozenset({401, 408, 421, 425, 429})
_KEY: Final = re.compile(KEY_FORM.encode())
_NONCE: Final = 12
_IN_DOUBT: Final = "in doubt"
_HEADER: Final = KEY.lower().encode()

_log = structlog.get_logger(__name__)


class KeptAnswer(Struct, frozen=True, array_like=True):
    """An answer to a question with this digest; without a ``body`` there was no room for that."""

    digest: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None


class Decided(Conflict):
    """A question is not done, since it was, or is: ends the application's reading of it."""


def read_key(headers: Headers) -> str:
    """The idempotency key of a question; nothing where it has none.

    Raises:
        Invalid: it is none, or there are several.
    """
    said = [value for name, value in headers if name == _HEADER]
    if not said:
        return ""
    found = _KEY.fullmatch(said[0].strip())
    if len(said) > 1 or found is None:
        raise Invalid("an Idempotency-Key is one text of 255 printable ASCII characters at most, such as a UUID")
    return (found[1] or found[2]).decode()


class KeptAnswers:
    """Answers in a cache, sealed under what is made of a ``secret``; of all it keeps as much as is ``in_all``."""

    def __init__(self, cache: Cache, secret: bytes, in_all: Bucket = IN_FLEET) -> None:
        self._cache = cache
        self._in_all = in_all
        self._cipher = AESGCM(hmac.digest(secret, b"mirage: kept answers, v1", "sha256"))

    async def find(self, name: str) -> KeptAnswer | None:
        """The answer of that name.

        Raises:
            Conflict: there is one that cannot be opened any more.
        """
        sealed = await self._cache.get(f"answer:{name}")
        if sealed is None:
            return None
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
            return msgspec.msgpack.decode(opened, type=KeptAnswer)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise Conflict("this was done before, and its answer cannot be read any more") from None

    async def keep(self, name: str, who: str, answer: KeptAnswer) -> None:
        """Keep an answer, without its body where there is no room for that among those of whoever asked."""
        size = len(answer.body or b"")
        if size > LEAST and await self._take(who, size - LEAST) > 0:
            answer = msgspec.structs.replace(answer, body=None)
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(answer), name.encode())
        await self._cache.set(f"answer:{name}", nonce + sealed, KEPT if answer.status < 400 else KEPT_NO)

    async def claim(self, name: str, who: str) -> bool:
        """Whether nobody else does what gets this answer.

        Raises:
            Limited: too much is kept for whoever asks, or for all.
        """
        if await self._cache.add(f"answering:{name}", 1, CLAIMED) > 1:
            return False
        try:
            seconds = await self._take(who, LEAST)
            if seconds > 0:
                raise Limited("too many questions had an Idempotency-Key: ask without, or later", seconds)
        except MirageError:
            await self.release(name)
            raise
        return True

    async def _take(self, who: str, size: int) -> float:
        """Take room for so many bytes: of whoever asks, and of all only where he has it. As `Cache.take`."""
        return await self._cache.take(f"answers:{who}", ROOM, size) or await self._cache.take(
            "all-answers", self._in_all, size
        )

    async def release(self, name: str) -> None:
        """Let it be done again."""
        await self._cache.delete(f"answering:{name}")

    async def once(self, app: App, scope: Scope, receive: Receive, send: Send, caller: Caller, key: str) -> None:
        """Have a POST of a caller with this key done by ``app`` unless it was, or is."""
        attempt = Attempt(self, _name(scope, caller, key), str(caller.account), scope, receive, send)
        headers = [(name, value) for name, value in scope["headers"] if name not in _OF_FORM]
        try:
            await app({**scope, "headers": headers}, attempt.receive, attempt.send)
        except Decided:
            pass
        except Exception:
            await attempt.leave()
            raise
        await attempt.end()


class Attempt:
    """One question with a key: read by the application through ``receive``, answered through ``send``."""

    def __init__(self, answers: KeptAnswers, name: str, who: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._answers = answers
        self._name = name
        self._who = who
        self._state: MutableMapping[str, Any] = scope["state"]
        self._receive = receive
        self._send = send
        self._read = hashlib.sha256()
        self._whole = self._claimed = False
        #: What is said instead of what the application says, once that is not to be done.
        self._instead: KeptAnswer | tuple[Problem, Headers] | None = None
        self._start: Message = {}
        self._body = bytearray()
        self._passes = self._is_stream = self._is_settled = False
        self._begun_stream = asyncio.Event()

    async def receive(self) -> Message:
        """The question, up to whose last piece nothing is done; `Decided` comes in its stead where nothing shall be.

        That whoever asked has left is told of a stream alone: all else is done to its end, since he may ask again.
        """
        if self._whole:
            await self._begun_stream.wait()
            return await self._receive()
        message = await self._receive()
        if message["type"] == "http.request":
            self._read.update(message.get("body", b""))
            if not message.get("more_body", False):
                self._whole = True
                await self._decide()
        return message

    async def send(self, message: Message) -> None:
        if self._instead is not None:
            return
        if not self._claimed:  # refused before it was read
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._start = message
            self._is_stream = any(
                name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"]
            )
            if self._is_stream:
                self._passes = True
                self._begun_stream.set()
                await self._send(message)
        else:
            await self._send_body(message)

    async def _send_body(self, message: Message) -> None:
        """An answer is passed on once it is kept, and one that is too large for that as it comes."""
        ends = not message.get("more_body", False)
        if self._passes:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            self._passes = len(self._body) > LARGEST
            if not (ends or self._passes):
                return
            await self._settle()
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": bytes(self._body), "more_body": not ends})

    async def _decide(self) -> None:
        """Whether this is to be done here and now.

        Raises:
            Decided: it is not.
        """
        digest = self._read.digest()
        try:
            kept = await self._answers.find(self._name)
            if kept is None:
                self._claimed = await self._answers.claim(self._name, self._who)
                kept = await self._answers.find(self._name)  # one may have ended meanwhile
            self._instead = _instead(kept, digest, claimed=self._claimed)
        except MirageError as error:
            self._instead = _refused(error)
        if self._instead is not None:
            await self.give_up()
            raise Decided("this was decided by its key")

    async def _settle(self) -> None:
        """Keep the answer, or let the question be tried again."""
        status: int = self._start["status"]
        if status >= 500 or status in _TRY_AGAIN:
            await self.leave()
            return
        self._is_settled = True
        headers = tuple((name, value) for name, value in self._start["headers"] if name in _OF_ANSWER)
        body = None if self._passes else bytes(self._body)
        try:
            await self._answers.keep(self._name, self._who, KeptAnswer(self._read.digest(), status, headers, body))
        except MirageError as error:
            _log.warning("an answer is not kept, and may be given twice", reason=str(error))

    async def leave(self) -> None:
        """Let it be tried again: at once, and where it may be going on still, after a minute."""
        if _IN_DOUBT in self._state:
            self._is_settled = True
        await self.give_up()

    async def give_up(self) -> None:
        """Let it be tried again at once; where that cannot be said, after a minute."""
        if self._claimed and not self._is_settled:
            self._is_settled = True
            try:
                await self._answers.release(self._name)
            except MirageError as error:
                _log.warning("a question cannot be tried again at once", reason=str(error))

    async def end(self) -> None:
        """Say what is said instead of what the application said; let what it left off be tried again."""
        await self.leave()
        if isinstance(self._instead, KeptAnswer):
            body = self._instead.body or b""
            said = [(b"content-length", str(len(body)).encode()), (b"idempotent-replayed", b"true")]
            headers = [*self._instead.headers, *said]
            await self._send({"type": "http.response.start", "status": self._instead.status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body, "more_body": False})
        elif self._instead is not None:
            problem, more = self._instead
            await send_problem(self._send, problem, headers=more)


def _instead(kept: KeptAnswer | None, digest: bytes, *, claimed: bool) -> KeptAnswer | tuple[Problem, Headers] | None:
    """What is said to a question of that digest instead of doing it; None where it is to be done."""
    if kept is None:
        if claimed:
            return None
        detail = "this is being done: ask again for its answer"
        return make_problem(409, "in_progress", detail), ((b"retry-after", b"1"),)
    if not hmac.compare_digest(kept.digest, digest):
        detail = "this Idempotency-Key came with another question: take a new one for each"
        return make_problem(422, "key_reused", detail), ()
    if kept.body is None:
        detail = "this was done before, and there was no room for its answer"
        return make_problem(409, "conflict", detail), ()
    return kept


def _name(scope: Scope, caller: Caller, key: str) -> str:
    """What an answer is called: nobody who does not know the key can tell which it is."""
    who = caller.session if caller.kind == "token" else caller.account
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    said = (str(who), str(caller.workspace), scope["method"], path.decode("latin-1"))
    query: bytes = scope["query_string"]
    return hashlib.sha256(msgspec.json.encode((*said, query.decode("latin-1"), key))).hexdigest()


def _refused(error: MirageError) -> tuple[Problem, Headers]:
    """What is said where it is not known whether something was done, or what the answer was."""
    if not isinstance(error, Conflict | Limited):
        _log.warning("a question with a key is not done", reason=str(error))
        error = Unavailable("it cannot be known at this moment whether this was done before: try again")
    return problem_of(error), [(name.lower().encode(), value.encode()) for name, value in headers_of(error).items()]


def leave_in_doubt(scope: Scope) -> None:
    """Note that a question was given up that may be done all the same: the same again is not begun at once."""
    scope["state"][_IN_DOUBT] = True
