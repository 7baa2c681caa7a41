"""The port `directory`: which instances of a service there are and which of them are well."""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from services.kernel.errors import Invalid
from services.kernel.hostport import split_host_port

#: The address of an instance that nobody dials: it answers in its own process.
LOCAL: Final = "local"

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAIRS: Final = 32
_VALUE: Final = 512


class Instance(Struct, frozen=True):
    """One running service: where it listens and what it is.

    ``service`` is a DNS label in small letters; ``id`` has letters, digits, ``.``, ``_`` and ``-``. ``address`` is a
    host and port, or `LOCAL`. ``meta``: at most 32 pairs, keys of letters, digits, ``_`` and ``-``, values of at most
    512 characters.
    """

    service: str
    id: str
    address: str
    meta: dict[str, str]

    @property
    def host_port(self) -> tuple[str, int]:
        """Where it is dialled; port 0 when it is not."""
        return ("", 0) if self.address == LOCAL else split_host_port(self.address, 0)


class Known(Struct, frozen=True):
    """An instance that is registered, and whether it is well."""

    instance: Instance
    well: bool


class Directory(ABC):
    @abstractmethod
    async def register(self, instance: Instance) -> None:
        """Make an instance known; registering it again changes nothing, unless it has changed itself.

        It stays known until it leaves or dies, also when the directory forgets all it knew meanwhile.

        Raises:
            Invalid: it is not as `Instance` says.
        """

    @abstractmethod
    async def deregister(self, service: str, id: str) -> None:
        """Forget an instance, if there is one."""

    @abstractmethod
    async def resolve(self, service: str) -> list[Instance]:
        """Return the instances that are well, by id; the last good list when the directory itself is away."""

    @abstractmethod
    async def survey(self, service: str) -> list[Known]:
        """Return all instances that are registered now, by id, those that are not well among them.

        Raises:
            Unavailable: the directory is away.
        """

    @abstractmethod
    def watch(self, service: str) -> AsyncIterator[list[Instance]]:
        """Yield the list now and whenever it changes; one who is slow gets the latest, not each between.

        Raises:
            Unavailable: the directory was closed.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless the directory itself answers; `resolve` may go on without."""

    @abstractmethod
    async def close(self) -> None:
        """Stop watching and keeping known; what is registered is not taken out by this."""


def check_instance(instance: Instance) -> None:
    """Raise `Invalid` unless every directory can hold an instance."""
    if not (_NAME.fullmatch(instance.service) and _ID.fullmatch(instance.id)):
        raise Invalid(f"{instance.service!r} and {instance.id!r} cannot be the names of a service and an instance")
    try:
        host, port = instance.host_port
    except ValueError:
        host, port = "", 0
    if instance.address != LOCAL and not (host and port):
        raise Invalid(f"{instance.address!r} of {instance.id} is not a host and port")
    for key, value in instance.meta.items():
        if not _KEY.fullmatch(key) or len(value) > _VALUE:
            raise Invalid(f"the directory cannot hold what {instance.id} says of itself under {key[:64]!r}")
    if len(instance.meta) > _PAIRS:
        raise Invalid(f"{instance.id} says more than {_PAIRS} things of itself")
