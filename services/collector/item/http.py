"""The HTTP that a module sees: scope, budget, redirects and evidence around every request."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from datetime import UTC
from functools import partial
from typing import Final, Literal
from urllib.parse import quote, urlencode, urljoin

from msgspec import Struct, structs

from services.collector.context import (
    Blocked,
    Hop,
    Http,
    HttpAnswer,
    Nameless,
    RateLimited,
    Refused,
    Skipped,
    SourceError,
    Unauthorised,
    Unreachable,
)
from services.collector.fetch.client import Client, NoSuchName, Request, Response
from services.collector.fetch.encoding import Undecodable
from services.collector.item.exchange import Exchanges, Performed
from services.collector.item.permit import Permit
from services.contracts.evidence import EvidenceRecord
from services.kernel import egress
from services.kernel.egress import EgressError, Forbidden
from services.kernel.egress.connection import Broken
from services.kernel.egress.location import BadUrl, locate
from services.kernel.messages import now

REDIRECTS: Final = {301, 302, 303, 307, 308}
MAX_URL: Final = 4000
#: A source that fails like this is asked again after so many seconds.
PASSING: Final = "status"
RETRY_DELAYS: Final = (1.0, 3.0)
#: Shared answers that a process keeps; the oldest go first.
SHARED_BYTES: Final = 8_000_000

Statuses = Iterable[int] | Literal["any"]


class Wanted(Struct, frozen=True, kw_only=True):
    """What a module asked for, redirects aside. ``share``: seconds for which items may share one answer."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str]
    secret: Mapping[str, str]
    statuses: frozenset[int] | None
    max_bytes: int
    timeout: float
    verify: bool = True
    share: int = 0


class Shared:
    """Answers that all items of a process may use for a while: directories that each of them would read, and pages
    that more than one module begins with.
    """

    def __init__(self, most: int = SHARED_BYTES) -> None:
        self._most = most
        self._size = 0
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Task[Performed]]] = OrderedDict()

    async def once(self, request: Hashable, seconds: int, perform: Callable[[], Awaitable[Performed]]) -> Performed:
        """Perform ``request`` unless it was performed, or is being, within the last ``seconds``."""
        until, task = self._answers.get(request, (0.0, None))
        if task is None or until < time.monotonic() or (task.done() and _went_wrong(task)):
            self._forget(request)
            task = asyncio.ensure_future(perform())
            task.add_done_callback(partial(self._weigh, request))
            self._answers[request] = (time.monotonic() + seconds, task)
        return await asyncio.shield(task)

    def _weigh(self, request: Hashable, task: asyncio.Task[Performed]) -> None:
        size = _size(task)
        if self._answers.get(request, (0.0, None))[1] is not task:
            return  # another one took its place
        self._size += size
        while self._size > self._most and self._answers:
            self._forget(next(iter(self._answers)))

    def _forget(self, request: Hashable) -> None:
        _, task = self._answers.pop(request, (0.0, None))
        if task is not None and task.done():
            self._size -= _size(task)


class ItemHttp(Http):
    """HTTP for one work item."""

    def __init__(self, client: Client, shared: Shared, exchanges: Exchanges, permit: Permit, user_agent: str) -> None:
        self._client = client
        self._shared = shared
        self._exchanges = exchanges
        self._permit = permit
        self._user_agent = user_agent

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        statuses: Statuses = (200, 404),
        redirects: int = 5,
        max_bytes: int = 10_000_000,
        timeout: float = 30.0,
        verify: bool = True,
        share: int = 0,
    ) -> HttpAnswer:
        """See `Http.get`."""
        if params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(params, quote_via=quote)}"
        wanted = Wanted(
            method="GET",
            url=url,
            headers=headers or {},
            secret=secret or {},
            statuses=None if statuses == "any" else frozenset(statuses),
            max_bytes=max_bytes,
            timeout=timeout,
            verify=verify,
            share=share,
        )
        hops: list[Hop] = []
        records: list[bytes] = []
        while True:
            record, body = await self._persist(wanted)
            records.append(record.id)
            location = _location(record)
            asked_for = wanted.statuses is None or int(record.status or 0) in wanted.statuses
            if location is None or (asked_for and not redirects):
                return answer_of(record, body, wanted.url, tuple(hops), tuple(records))
            target, reason = self._follow(wanted.url, location, hops, redirects)
            hops.append(Hop(wanted.url, int(record.status), target, not reason))
            if not reason:
                wanted = structs.replace(wanted, url=target, secret={})
            elif wanted.statuses is None:
                return answer_of(record, body, wanted.url, tuple(hops), tuple(records))
            else:
                raise Unreachable(f"redirected to {target[:200]}: {reason}")

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        statuses: Statuses = (200, 404),
        max_bytes: int = 10_000_000,
        timeout: float = 30.0,
    ) -> HttpAnswer:
        """See `Http.post`."""
        wanted = Wanted(
            method="POST",
            url=url,
            body=body,
            headers={"Content-Type": content_type, **(headers or {})},
            secret=secret or {},
            statuses=None if statuses == "any" else frozenset(statuses),
            max_bytes=max_bytes,
            timeout=timeout,
        )
        record, content = await self._persist(wanted)
        return answer_of(record, content, url, (), (record.id,))

    def _follow(self, url: str, location: str, hops: list[Hop], most: int) -> tuple[str, str]:
        """Where a redirect leads, and why not to go there; nothing when there is no reason against it."""
        try:
            target = urljoin(url, location)
        except ValueError as error:
            return location[:MAX_URL], str(error)
        reason = ""
        if len(hops) >= most:
            reason = f"more than {most} redirects"
        elif target == url or any(hop.url == target for hop in hops):
            reason = "it goes in circles"
        elif len(target) > MAX_URL:
            reason = f"it is longer than {MAX_URL} characters"
        else:
            try:
                place = locate(target)
                self._permit.host(place.host, place.port, literal=place.literal)
            except (BadUrl, Skipped) as error:
                reason = str(error)
        return target[:MAX_URL], reason

    async def _persist(self, wanted: Wanted) -> tuple[EvidenceRecord, bytes]:
        """Ask, and ask a source again where its failure may have been a passing one."""
        delays = () if wanted.statuses is None else RETRY_DELAYS
        for delay in delays:
            made = self._exchanges.made
            try:
                return await self._once(wanted)
            except Unreachable as error:
                if not str(error).startswith(PASSING):
                    raise
                if self._exchanges.made > made:
                    await asyncio.sleep(delay)
        return await self._once(wanted)

    async def _once(self, wanted: Wanted) -> tuple[EvidenceRecord, bytes]:
        request = self._request(wanted)
        name = f"{wanted.method} {wanted.url}"
        payload = hashlib.sha256(wanted.body).digest() if wanted.body else b""
        if not wanted.share:
            return await self._exchanges.make(
                "http", name, lambda: self._perform(request, wanted), payload, host=request.location.host
            )
        mine = False

        async def find_or_perform() -> Performed:
            found = await self._exchanges.find_answer("http", name, payload, wanted.share)
            if found is not None and _serves(found, wanted):
                return structs.replace(found, failure=_refusal(_answered(found), wanted))
            await self._exchanges.pay(request.location.host)
            nonlocal mine
            mine = True
            return await self._perform(request, wanted)

        async def perform_shared() -> Performed:
            performed = await self._shared.once((who, sharable(wanted)), wanted.share, find_or_perform)
            return performed if mine else structs.replace(performed, shared=True)

        # What one scan may dial, another may not.
        who = (self._exchanges.workspace, self._client, request.via_proxy, request.allow)
        return await self._exchanges.make(
            "http", name, perform_shared, payload, host=request.location.host, shared=True
        )

    def _request(self, wanted: Wanted) -> Request:
        headers = {"User-Agent": self._user_agent, "Accept": "*/*", **wanted.headers}
        url = wanted.url
        if len(url) > MAX_URL:
            raise Skipped(f"{url[:200]}… is longer than {MAX_URL} characters")
        for name, value in wanted.secret.items():
            self._exchanges.conceal(value)
            if name.endswith(":"):
                headers[name[:-1]] = value
            else:
                url += f"{'&' if '?' in url else '?'}{quote(name, safe='')}={quote(value, safe='')}"
        try:
            location = locate(url)
        except BadUrl as error:
            raise Skipped(self._exchanges.mask(str(error))) from None
        self._permit.host(location.host, location.port, literal=location.literal)
        return Request(
            method=wanted.method,
            location=location,
            headers=tuple(headers.items()),
            body=wanted.body,
            limit=wanted.max_bytes,
            timeout=wanted.timeout,
            verify=wanted.verify,
            via_proxy=self._permit.manifest.activity == "passive",
            allow=self._permit.guard,
        )

    async def _perform(self, request: Request, wanted: Wanted) -> Performed:
        started = time.perf_counter_ns()
        way = self._client.way(request)
        try:
            response = await self._client.send(request)
        except (EgressError, NoSuchName, Broken, Undecodable, BadUrl) as error:
            elapsed = (time.perf_counter_ns() - started) // 1000
            return Performed(at=now(), elapsed=elapsed, failure=failure_of(error), egress=way)
        return Performed(
            at=now(),
            elapsed=(time.perf_counter_ns() - started) // 1000,
            peer=response.peer,
            status=str(response.status),
            head=response.head,
            body=response.body,
            failure=_refusal(response, wanted),
            tls_error=response.tls_error,
            truncated=response.truncated,
            egress=way,
        )


def sharable(wanted: Wanted) -> Hashable:
    """What must be the same for two items to have the same answer."""
    return (
        wanted.method,
        wanted.url,
        wanted.body,
        tuple(wanted.headers.items()),
        tuple(wanted.secret.items()),
        wanted.statuses,
        wanted.max_bytes,
        wanted.verify,
    )


def _size(task: asyncio.Task[Performed]) -> int:
    return 2_000 if _went_wrong(task) else len(task.result().body or b"") + 2_000


def _went_wrong(task: asyncio.Task[Performed]) -> bool:
    return task.cancelled() or task.exception() is not None or task.result().failure is not None


def _location(record: EvidenceRecord) -> str | None:
    if int(record.status or 0) not in REDIRECTS:
        return None
    return _header(headers_of(record), "location")


def headers_of(record: EvidenceRecord) -> tuple[tuple[str, str], ...]:
    """The headers in the head of a recorded response."""
    return _headers(record.head)


def _headers(head: str) -> tuple[tuple[str, str], ...]:
    parted = (line.partition(":") for line in head.split("\n")[1:])
    return tuple((name, value.strip()) for name, _, value in parted)


def answer_of(
    record: EvidenceRecord, body: bytes, url: str, hops: tuple[Hop, ...], records: tuple[bytes, ...]
) -> HttpAnswer:
    """The answer that a record and its body stand for, the same live and in a replay."""
    return HttpAnswer(
        at=record.at,
        records=records,
        url=url,
        status=int(record.status or 0),
        headers=headers_of(record),
        body=body,
        peer=record.peer,
        hops=hops,
        tls_error=record.tls_error,
        truncated=record.truncated,
    )


def _serves(found: Performed, wanted: Wanted) -> bool:
    """Whether an answer to somebody else is what we would have got: whole, small enough, and from whom it says."""
    fits = not found.truncated and len(found.body or b"") <= wanted.max_bytes
    return fits and not (found.tls_error and wanted.verify)


class Answered(Struct, frozen=True):
    """What a response is judged by."""

    status: int
    headers: tuple[tuple[str, str], ...]
    truncated: bool


def _answered(found: Performed) -> Answered:
    return Answered(int(found.status or 0), _headers(found.head), found.truncated)


def _refusal(response: Response | Answered, wanted: Wanted) -> SourceError | None:
    """The failure that a source's status stands for, if it is one."""
    status = response.status
    if wanted.statuses is None:
        return None
    if status in wanted.statuses and response.truncated:
        return Unreachable(f"its answer is cut off, or larger than {wanted.max_bytes} bytes")
    followed = wanted.method == "GET" and status in REDIRECTS and _header(response.headers, "location") is not None
    if status in wanted.statuses or followed:
        return None
    if status == 401 or (status == 403 and (wanted.secret or _header(response.headers, "www-authenticate"))):
        return Unauthorised(f"status {status}")
    if status in {403, 451}:
        return Blocked(f"status {status}")
    after = _retry_after(_header(response.headers, "retry-after"))
    if status == 429 or (status == 503 and after is not None):
        return RateLimited(f"status {status}", after)
    return Unreachable(f"{PASSING} {status}" if status >= 500 else f"unexpected status {status}")


def _header(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or a date (RFC 9110 section 10.2.3), at most a day."""
    if value is None:
        return None
    if value.isascii() and value.strip().isdecimal():
        return min(float(value.strip()[:9]), 86_400.0)
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(value)
        # Without a zone it is GMT, as all dates of HTTP are.
        return max(0.0, min((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time(), 86_400.0))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def failure_of(error: Exception) -> SourceError:
    """What a failure on the wire is to a module."""
    if isinstance(error, Forbidden):
        return Skipped(str(error))
    if isinstance(error, egress.Refused):
        return Refused(str(error))
    if isinstance(error, NoSuchName):
        return Nameless(str(error))
    return Unreachable(str(error) or type(error).__name__)
