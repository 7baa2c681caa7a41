"""How the first account of an installation is made, told to who begins it."""

from services.cli.credentials import overheard_at


def told_of_code(code: str | None, server: str) -> str:
    """What to call next at a server; ``code`` makes the first account, and there is none where there is one."""
    host = overheard_at(server)
    mirage = f"MIRAGE_PLAIN_HTTP={host} ./mirage" if host else "./mirage"
    if code is None:
        return f"{mirage} scan example.org --server {server}   ({mirage} login --server {server}, once)"
    return f"Nobody has an account yet. Make the first one: {mirage} login --first --server {server}\nIts code: {code}"
