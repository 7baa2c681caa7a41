"""How a server is named: one form for all kinds, and no password in what is said of it."""

import traceback

import pytest

from services.kernel.errors import Invalid
from services.kernel.server import Host, Server, Trust, masked
from services.kernel.settings import Settings

SECRET = "hunter2"


def test_a_url_says_kind_hosts_login_and_path() -> None:
    server = Server.parse(f"postgresql+tls://scans:{SECRET}@db1,db2:6000/scans", ("postgresql",))
    assert (server.kind, server.tls, server.user, server.password, server.path) == (
        *("postgresql", True, "scans", SECRET, "scans"),
    )
    assert server.hosts == (Host("db1", 5432), Host("db2", 6000))


def test_a_login_may_have_any_sign_escaped() -> None:
    server = Server.parse("nats://a%40b:p%2F%3A%40%25@127.0.0.1")
    assert (server.user, server.password, server.address) == ("a@b", "p/:@%", "127.0.0.1:4222")


def test_an_address_of_the_sixth_version_stands_in_brackets() -> None:
    assert Server.parse("redis://[::1]:7000/mirage").address == "[::1]:7000"


@pytest.mark.parametrize("text", [str, repr, lambda server: f"{server}", lambda server: repr([server])])
def test_what_a_server_says_of_itself_has_no_password(text: object) -> None:
    assert SECRET not in text(Server.parse(f"redis://user:{SECRET}@127.0.0.1"))  # type: ignore[operator]


@pytest.mark.parametrize(
    "url",
    [
        *("", "127.0.0.1:4222", "redis://127.0.0.1", "nats+ssl://127.0.0.1", "nats://", "nats://user@"),
        *("nats://127.0.0.1:port", "nats://127.0.0.1:99999", "nats://[::1", "nats://a,,b"),
    ],
)
def test_what_is_no_url_of_the_kind_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        Server.parse(url, ("nats",))


#: URLs whose password cannot be where it is looked for: a / of Base64 in it, an @, no scheme, no @.
UNREADABLE = [
    *(f"nats+x://u:{SECRET}@h", f"nats://u:{SECRET}@h:x", f"redis://u:{SECRET}@h", f"nats://u:aB3/{SECRET}@db:5432/x"),
    *(f"nats://u:p@ss/{SECRET}@db/x", f"nats://u:{SECRET}/9@db", f"u:{SECRET}@h", f"nats://u:{SECRET}", f"//{SECRET}"),
]


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_refusal_does_not_quote_the_password(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        Server.parse(url, ("nats",))
    told = "".join(traceback.format_exception(refused.value))
    assert SECRET not in told
    assert "aB3" not in told


@pytest.mark.parametrize("url", [each for each in UNREADABLE if "@" in each])
def test_a_password_with_any_sign_that_is_not_escaped_is_masked(url: str) -> None:
    assert SECRET not in masked(url)
    assert "aB3" not in masked(url)
    assert "u:***@" in masked(url)
    assert SECRET not in repr(Settings(sql=url))


def test_a_password_that_is_not_escaped_is_never_taken_for_a_host() -> None:
    with pytest.raises(Invalid, match="%2F"):
        Server.parse("postgresql://u:p@ss/word@db/x")
    assert Server.parse("nats://u:se#cr?e@t@h").password == "se#cr?e@t"


@pytest.mark.parametrize("url", ["http://host:1/x", "/a/path", "x@y", ""])
def test_what_has_no_password_is_shown_as_it_is(url: str) -> None:
    assert masked(url) == url


def test_without_tls_there_is_no_context_and_with_files_that_are_none_a_refusal() -> None:
    assert Server.parse("nats://h").context() is None
    assert Server.parse("nats+tls://h").context() is not None
    with pytest.raises(Invalid, match=r"missing\.pem"):
        Server.parse("nats+tls://h", trust=Trust(ca="missing.pem")).context()
