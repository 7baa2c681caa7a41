"""A port is had before anything else is started, alone or with others of its like."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from services.kernel.errors import Invalid
from services.kernel.listening import open_listener


def address(listener: socket.socket) -> str:
    return "{}:{}".format(*listener.getsockname()[:2])


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_that_is_taken_is_told_with_another_one(shared: bool) -> None:
    with open_listener("localhost:0") as taken, pytest.raises(Invalid, match=r"is taken .*: choose another one with"):
        open_listener(address(taken), shared=shared)


def test_those_that_share_a_port_share_it_with_each_other_alone() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(open_listener("127.0.0.1:0", shared=True))
        second = stack.enter_context(open_listener(address(first), shared=True))
        assert first.getsockname() == second.getsockname()
        with pytest.raises(Invalid, match="is taken"):
            open_listener(address(first))
        first.close()
        stack.enter_context(socket.create_connection(second.getsockname()))
        stack.enter_context(second.accept()[0])


@pytest.mark.parametrize("text", ["", "8080", "127.0.0.1:", "example.org:80", "127.0.0.1:http", ":80"])
def test_what_is_no_address_and_port_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not ADDRESS:PORT"):
        open_listener(text)


@pytest.mark.parametrize("text", ["127.0.0.1:70000", "192.0.2.1:8080"])
def test_where_nobody_can_listen_is_said(text: str) -> None:
    with pytest.raises(Invalid, match=f"nobody can listen at {text}"):
        open_listener(text)


async def test_what_is_written_to_who_connects_is_sent_at_once() -> None:
    taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with open_listener("127.0.0.1:0") as listener:
        async with await asyncio.start_server(take, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await taken
            writer.close()
            await writer.wait_closed()


def test_an_address_of_the_newer_kind_is_taken_too() -> None:
    with ExitStack() as stack:
        if not socket.has_dualstack_ipv6():  # a machine without it
            stack.enter_context(pytest.raises(Invalid, match="nobody can listen"))
        listener = stack.enter_context(open_listener("[::1]:0"))
        assert listener.family == socket.AF_INET6
