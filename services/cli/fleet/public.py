"""Where the gateway of a fleet listens for the world, and how it is called by those who ask it."""

from pathlib import Path
from typing import Final

from services.kernel.folder import write_private
from services.kernel.listening import open_listener, parse_address

#: The file of a fleet's folder that says where.
FILE: Final = "public"
USUAL: Final = "127.0.0.1:8080"
_LOOPBACK: Final = "127.0.0.1"


def read(folder: Path) -> str:
    """Where the gateway of the fleet in ``folder`` listens; nothing where that was not said yet."""
    file = folder / FILE
    return file.read_text("ascii").strip() if file.exists() else ""


def keep(folder: Path, public: str) -> None:
    write_private(folder / FILE, public)


def port_of(public: str) -> int:
    """The port of where a gateway listens; 0 of nowhere."""
    return parse_address(public)[1] if public else 0


def url_of(public: str) -> str:
    """How a gateway is asked on its machine.

    Raises:
        Invalid: that is not where anybody can listen.
    """
    where, port = parse_address(public)
    if where.is_unspecified or str(where) == _LOOPBACK:
        return f"http://localhost:{port}"
    return f"http://[{where}]:{port}" if where.version == 6 else f"http://{where}:{port}"


def refuse_taken(public: str) -> None:
    """See that nobody listens there: two who share a port as gateways do would both be asked.

    Raises:
        Invalid: somebody does, or nobody can.
    """
    open_listener(public).close()
