import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):
    """What a hostile server does reaches the client by other ways on the two event loops."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
