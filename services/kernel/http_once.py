"""What a lost connection means is for who asked to judge: aiohttp alone would ask again where the method lets it."""

import aiohttp


async def ask_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Say that a connection was lost, where aiohttp would ask again on another one.

    What is not the same when it is done twice is not, and what was heard is not said to have found nobody.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # there was no connection, and aiohttp asks no second time
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error
