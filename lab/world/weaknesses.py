"""What was put into a world on purpose for somebody to find."""

from msgspec import Struct


class Planted(Struct, frozen=True, kw_only=True):
    """A finding that a deep scan has to make: the rule that makes it, what it is about, and what was done to cause it.

    ``key`` is the key of the entity, not in normal form; that of a certificate is its id in the world, that of a key is
    its kind alone. Both are empty where a finding is about the whole scan.
    """

    rule: str
    type: str = ""
    key: tuple[str, ...] = ()
    why: str
