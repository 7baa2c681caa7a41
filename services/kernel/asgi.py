"""What passes between a server and an application (https://asgi.readthedocs.io), for whoever knows no framework."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Names in small letters, and values.
Headers = Sequence[tuple[bytes, bytes]]
