"""Passwords as Argon2id at OWASP's cost, beside what else this process does.

19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet); two at once at most, so that logging in takes neither
the memory nor the processors of everybody else.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from secrets import token_hex
from typing import TYPE_CHECKING, Final, TypeVar

from services.kernel.errors import Limited
from services.kernel.service import Ports

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

AT_ONCE: Final = 2
#: Those that wait for their turn: a further one would wait longer than a question may take.
WAITING: Final = 16


class Passwords:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

    @cached_property
    def _nobodys(self) -> str:
        """What the password of an account is compared with that there is not: it takes as long as any other."""
        return self._hasher.hash(token_hex(16))

    async def make(self, password: str) -> str:
        """What is kept of a password."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, kept: str, password: str) -> bool:
        """Whether it is the one of which that was kept; nothing is kept of who is nobody, and that takes as long."""
        return await self._run(lambda: self._verify(kept, password))

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made at another cost than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return bool(kept)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING:
            raise Limited("too many people log in at this moment: try again in a few seconds", 2.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def passwords_of(ports: Ports) -> Passwords:
    """Those of this process."""
    if "passwords" not in ports.state:
        ports.state["passwords"] = Passwords()
    passwords = ports.state["passwords"]
    assert isinstance(passwords, Passwords)
    return passwords
