"""Accounts: how each is logged in to, from where, and the codes that make one or bring it back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from services.kernel.sql import Reader, Tx


class Account(Struct, frozen=True):
    """``proven``: whether it was seen, when it was made, that the address is its person's."""

    account: UUID
    email: str
    password: str
    proven: bool

    def __repr__(self) -> str:
        return f"Account({self.account}, {self.email!r})"


class Reset(Struct, frozen=True):
    """What lets a person choose another password; ``second_factor``: and do without the one that he lost."""

    account: UUID
    digest: bytes
    expires: int
    second_factor: bool


async def find_account(view: Reader, email: str) -> Account | None:
    row = await view.fetch_one("SELECT account, email, password, proven FROM account WHERE email = :email", email=email)
    return _account(row) if row else None


async def read_account(view: Reader, account: UUID) -> Account | None:
    row = await view.fetch_one(
        "SELECT account, email, password, proven FROM account WHERE account = :account", account=account.bytes
    )
    return _account(row) if row else None


async def has_accounts(view: Reader) -> bool:
    return await view.fetch_one("SELECT 1 FROM account LIMIT 1") is not None


async def hold_account(tx: Tx, account: UUID) -> None:
    """Let nobody else change how an account is logged in to, or log in to it, until the transaction ends."""
    await tx.lock(f"account {account.hex}")


async def add_account(tx: Tx, account: Account, at: int) -> bool:
    """Keep a new one; whether it is new."""
    row = (account.account.bytes, account.email, account.password, int(account.proven), at)
    columns = ("account", "email", "password", "proven", "created")
    return bool(await tx.insert_new("account", columns, ("account",), [row]))


async def set_password(tx: Tx, account: UUID, password: str) -> None:
    await tx.execute(
        "UPDATE account SET password = :password WHERE account = :account", password=password, account=account.bytes
    )


async def keep_first_code(tx: Tx, digest: bytes) -> None:
    await tx.bulk_upsert("first_code", ("one", "digest"), ("one",), [(1, digest)], {"digest": "replace"})


async def read_first_code(view: Reader) -> bytes | None:
    row = await view.fetch_one("SELECT digest FROM first_code")
    return bytes(row[0]) if row else None


async def forget_first_code(tx: Tx) -> None:
    await tx.execute("DELETE FROM first_code")


# --- ways back ---


async def keep_reset(tx: Tx, made: Reset) -> None:
    """Keep the code of an account, instead of any earlier one."""
    row = (made.account.bytes, made.digest, made.expires, int(made.second_factor))
    columns = ("account", "digest", "expires", "second_factor")
    await forget_reset(tx, made.account)
    await tx.insert_new("reset", columns, ("account",), [row])


async def find_reset(view: Reader, digest: bytes) -> Reset | None:
    row = await view.fetch_one(
        "SELECT account, digest, expires, second_factor FROM reset WHERE digest = :digest", digest=digest
    )
    return Reset(UUID(bytes=bytes(row[0])), bytes(row[1]), row[2], bool(row[3])) if row else None


async def use_reset(tx: Tx, digest: bytes) -> bool:
    """Use a code up; whether nobody was quicker."""
    return await tx.execute("DELETE FROM reset WHERE digest = :digest", digest=digest) > 0


async def forget_reset(tx: Tx, account: UUID) -> None:
    """Have no code bring an account back."""
    await tx.execute("DELETE FROM reset WHERE account = :account", account=account.bytes)


async def forget_resets(tx: Tx, before: int) -> None:
    await tx.execute("DELETE FROM reset WHERE expires < :before", before=before)


# --- authenticators ---


async def read_authenticator(view: Reader, account: UUID) -> tuple[str, bool, int] | None:
    """The sealed secret, whether it was confirmed, and the last step of which a code was taken."""
    row = await view.fetch_one(
        "SELECT sealed, confirmed, step FROM authenticator WHERE account = :account", account=account.bytes
    )
    return (row[0], bool(row[1]), row[2]) if row else None


async def keep_authenticator(tx: Tx, account: UUID, sealed: str) -> None:
    """Keep one that is to be confirmed, instead of any other one."""
    row = (account.bytes, sealed, 0, 0)
    columns = ("account", "sealed", "confirmed", "step")
    merge = {"sealed": "replace", "confirmed": "replace", "step": "replace"}
    await tx.bulk_upsert("authenticator", columns, ("account",), [row], merge)  # type: ignore[arg-type]


async def take_step(tx: Tx, account: UUID, step: int) -> bool:
    """Take a code of a step; whether none of it, or of a later one, was taken before."""
    changed = await tx.execute(
        "UPDATE authenticator SET step = :step, confirmed = 1 WHERE account = :account AND step < :step",
        step=step,
        account=account.bytes,
    )
    return changed > 0


async def remove_authenticator(tx: Tx, account: UUID) -> None:
    await tx.execute("DELETE FROM authenticator WHERE account = :account", account=account.bytes)
    await tx.execute("DELETE FROM recovery_code WHERE account = :account", account=account.bytes)


async def keep_recovery_codes(tx: Tx, account: UUID, digests: Sequence[bytes]) -> None:
    await tx.execute("DELETE FROM recovery_code WHERE account = :account", account=account.bytes)
    rows = [(account.bytes, digest) for digest in digests]
    await tx.insert_new("recovery_code", ("account", "digest"), ("account", "digest"), rows)


async def count_recovery_codes(view: Reader, account: UUID) -> int:
    row = await view.fetch_one("SELECT count(*) FROM recovery_code WHERE account = :account", account=account.bytes)
    return int(row[0]) if row else 0


async def use_recovery_code(tx: Tx, account: UUID, digest: bytes) -> bool:
    return (
        await tx.execute(
            "DELETE FROM recovery_code WHERE account = :account AND digest = :digest",
            account=account.bytes,
            digest=digest,
        )
        > 0
    )


# --- places ---


async def is_known_place(view: Reader, account: UUID, network: str, since: int) -> bool:
    row = await view.fetch_one(
        "SELECT 1 FROM known_place WHERE account = :account AND network = :network AND seen > :since",
        account=account.bytes,
        network=network,
        since=since,
    )
    return row is not None


async def keep_place(tx: Tx, account: UUID, network: str, at: int) -> None:
    columns = ("account", "network", "seen")
    await tx.bulk_upsert(
        "known_place", columns, ("account", "network"), [(account.bytes, network, at)], {"seen": "max"}
    )


def _account(row: tuple[Any, ...]) -> Account:
    return Account(UUID(bytes=bytes(row[0])), row[1], row[2], bool(row[3]))
