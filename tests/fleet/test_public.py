"""Where a fleet's gateway listens, and that it shares the place with nobody."""

import socket
from pathlib import Path

import pytest

from services.cli.fleet import public
from services.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("listens", "asked"),
    [
        ("127.0.0.1:8080", "http://localhost:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("0.0.0.0:81", "http://localhost:81"),
        ("[::]:81", "http://localhost:81"),
        ("10.0.0.5:8080", "http://10.0.0.5:8080"),
        ("[fd00::1]:8080", "http://[fd00::1]:8080"),
    ],
)
def test_who_is_on_the_machine_asks_where_it_listens(listens: str, asked: str) -> None:
    assert public.url_of(listens) == asked


@pytest.mark.parametrize("listens", ["foo", "", "8080", ":8080", "example.org:80", "127.0.0.1:", "127.0.0.1:70000"])
def test_what_is_no_place_to_listen_at_is_refused(listens: str) -> None:
    with pytest.raises(Invalid, match=r"is not ADDRESS:PORT|ports go up to"):
        public.url_of(listens)


def test_a_port_is_taken_even_where_its_owner_would_share_it() -> None:
    """As gateways do among themselves: another fleet's would get half of the questions."""
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        place = f"127.0.0.1:{theirs.getsockname()[1]}"
        with pytest.raises(Invalid, match="is taken"):
            public.refuse_taken(place)
    public.refuse_taken(place)


def test_it_is_kept(tmp_path: Path) -> None:
    assert public.read(tmp_path) == ""
    public.keep(tmp_path, "127.0.0.1:81")
    assert public.read(tmp_path) == "127.0.0.1:81"
