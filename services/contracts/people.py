"""What people, workspaces and tokens are called by others, and how addresses of people are compared."""

from services.kernel.errors import Invalid


def plain_email(email: str) -> str:
    """An address as it is compared: in small letters, since nobody has two that differ in those alone."""
    return email.strip().lower()


def plain_title(title: str) -> str:
    """A name as it is kept.

    Raises:
        Invalid: nothing, or what is not seen: a name with characters that turn a line around is made to deceive.
    """
    plain = " ".join(title.split())
    if not plain or not plain.isprintable():
        raise Invalid("a name has printable characters")
    return plain
