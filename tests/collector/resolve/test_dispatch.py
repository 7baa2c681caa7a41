"""Whose turn it is among many questions, which failure counts, and what is asked no more."""

import asyncio
import socket

import dns.flags
import dns.message
import pytest

from tests.collector.resolve.nameserver import answer, nxdomain


def cut_off(question):
    """Truncated, and no word over TCP."""
    if question.transport == "tcp":
        return None
    message = dns.message.make_response(question.message)
    message.flags |= dns.flags.TC
    return message


async def test_a_few_questions_go_before_those_of_a_long_list(nameserver, resolver) -> None:
    server = await nameserver(nxdomain)
    resolve = resolver(server)
    many = asyncio.create_task(resolve.ask_all([(f"n{number}.example", "A") for number in range(300)]))
    await asyncio.sleep(0)  # it has begun
    await resolve.ask("few.example", "A")
    await many
    assert server.names().index("few.example") < 150


async def test_where_nobody_listens_is_not_waited_for_as_long_as_for_an_answer(resolver, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.resolve.dispatch.REFUSED_TIMEOUT", 0.01)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        upstream = nobody.getsockname()
    async with asyncio.timeout(30):
        assert (await resolver(upstream, timeouts=(600.0,)).ask("www.example", "A")).status == "timeout"


async def test_of_several_failures_the_one_that_says_something_counts(nameserver, resolver) -> None:
    asked = []

    def fail_then_say_nothing(question):
        asked.append(question.name)
        return answer(question, rcode="SERVFAIL") if len(asked) == 1 else None

    servers = [await nameserver(fail_then_say_nothing) for _ in range(2)]
    found = await resolver(*servers, timeouts=(10.0, 0.05, 0.05)).ask("www.example", "A")
    assert (found.status, len(asked)) == ("servfail", 3)


async def test_what_nobody_waits_for_is_not_asked_again(nameserver, resolver) -> None:
    def give_up(question):
        if question.name == "given-up.example":
            asking.cancel()

    server = await nameserver(give_up)
    resolve = resolver(server, timeouts=(0.1, 0.05, 0.05))
    asking = asyncio.create_task(resolve.ask("given-up.example", "A"))
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await resolve.ask("other.example", "A")).status == "timeout"
    assert sorted(server.names()) == ["given-up.example", *["other.example"] * 3]


async def test_no_more_is_asked_over_tcp_at_a_time_than_may_wait_for_it(nameserver, resolver, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.resolve.dispatch.MOST_OVER_TCP", 2)
    server = await nameserver(cut_off)
    resolve = resolver(server, timeouts=(60.0,))
    asking = [asyncio.create_task(resolve.ask(f"n{number}.example", "A")) for number in range(5)]
    async with asyncio.timeout(10):
        while sum(task.done() for task in asking) < 3:
            await asyncio.sleep(0.001)
    assert [task.result().status for task in asking if task.done()] == ["timeout"] * 3
    assert sum(question.transport == "tcp" for question in server.asked) <= 2
    for task in asking:
        task.cancel()
