"""How long a source wants to be left alone, by what it says."""

import pytest

from services.collector.archetypes.rate_limits import refuse_when_spent
from services.collector.context import Blocked, HttpAnswer, RateLimited
from services.collector.modules.otx import refuse_by_detail
from tests.collector.recorded import NOW

SECONDARY = '{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'
RESET = str(NOW // 1_000_000 + 1800)


def said(status: int, body: str = "", **headers: str) -> HttpAnswer:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpAnswer(at=NOW, url="https://api.example.org/", status=status, headers=named, body=body.encode())


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (said(403, x_ratelimit_remaining="0", x_ratelimit_reset=RESET), 1800.0),
        (said(403, SECONDARY, x_ratelimit_remaining="55", x_ratelimit_reset=RESET), 60.0),
        (said(429, SECONDARY, x_ratelimit_remaining="55", x_ratelimit_reset=RESET), 60.0),
        (said(403, SECONDARY, retry_after="90"), 90.0),
        (said(429), None),
    ],
)
def test_a_limit_lasts_as_long_as_the_source_says(answer: HttpAnswer, after: float | None) -> None:
    with pytest.raises(RateLimited) as raised:
        refuse_when_spent(answer)
    assert raised.value.after == after


def test_what_is_forbidden_for_another_reason_is_no_limit() -> None:
    with pytest.raises(Blocked):
        refuse_when_spent(said(403, "forbidden", x_ratelimit_remaining="55", x_ratelimit_reset=RESET))


@pytest.mark.parametrize(
    ("answer", "after"),
    [(said(429, '{"detail": "Over throttling limit (100/hour)"}'), 3600.0), (said(429, "busy", retry_after="7"), 7.0)],
)
def test_open_threat_exchange_counts_by_the_hour(answer: HttpAnswer, after: float) -> None:
    with pytest.raises(RateLimited) as raised:
        refuse_by_detail(answer)
    assert raised.value.after == after
