"""Limits that a source tells of in headers of its own."""

from services.collector.context import Blocked, HttpAnswer, RateLimited, Unauthorised, Unreachable

_SECOND = 1_000_000
_LONGEST = 86_400.0
# GitHub's limit on many requests at a time: "at least one minute" where it says no more
# (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit).
_SECONDARY, _SECONDARY_REST = b"secondary rate limit", 60.0
_HEAD = 2_000


def refuse_when_spent(answer: HttpAnswer) -> None:
    """Raise what a 401, 403 or 429 stands for, by ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset`` (Unix seconds).

    Raises:
        RateLimited: nothing remains, with ``after`` until the reset; or too much was asked at a time.
        Unauthorised: the key is not taken.
        Blocked: anything else that is forbidden.
    """
    if answer.status not in {401, 403, 429}:
        return
    reason = f"{answer.url}: {answer.status}"
    if answer.status == 401:
        raise Unauthorised(reason)
    if _SECONDARY in answer.body[:_HEAD].lower() and not answer.header("retry-after"):
        raise RateLimited(reason, _SECONDARY_REST)
    if answer.status == 429 or answer.header("x-ratelimit-remaining") == "0" or answer.header("retry-after"):
        raise RateLimited(reason, _wait(answer))
    raise Blocked(reason)


def refuse_others(answer: HttpAnswer, *expected: int) -> None:
    """Raise what a status stands for that is not among ``expected``."""
    refuse_when_spent(answer)
    if answer.status not in expected:
        raise Unreachable(f"{answer.url}: {answer.status}")


def _wait(answer: HttpAnswer) -> float | None:
    after, reset = answer.header("retry-after"), answer.header("x-ratelimit-reset")
    if after and after.isascii() and after.isdigit():
        return min(_LONGEST, float(after[:9]))
    if reset and reset.isascii() and reset.isdigit() and len(reset) <= 12:
        return min(_LONGEST, max(1.0, int(reset) - answer.at / _SECOND))
    return None
