"""Hosts with their ports as text: ``192.0.2.1:53``, ``[2001:db8::1]:53``."""


def join_host_port(host: str, port: int) -> str:
    """Write a host (a name, or an address without brackets) and its port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_port(text: str, port: int) -> tuple[str, int]:
    """Read a host with or without a port; ``port`` is the one that it has when it does not say so.

    Raises:
        ValueError: what stands for the port is none, or a bracket is not closed.
    """
    host, said = text, ""
    if text.startswith("["):
        host, closed, said = text[1:].partition("]")
        if not closed or said[:1] not in ("", ":"):
            raise ValueError(text)
        said = said[1:]
    elif text.count(":") == 1:
        host, _, said = text.partition(":")
    if not said:
        return host, port
    if not (said.isascii() and said.isdigit()) or not 0 < int(said[:6]) < 1 << 16:
        raise ValueError(text)
    return host, int(said)
