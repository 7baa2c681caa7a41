"""What is good no more, by numbers."""

from services.kernel.sql import Reader, Tx


async def last_revocation(view: Reader) -> int:
    row = await view.fetch_one("SELECT MAX(number) FROM revocation")
    return row[0] or 0 if row else 0


async def add_revocation(tx: Tx, number: int, subject: str, over: int) -> None:
    await tx.insert_new("revocation", ("number", "subject", "over"), ("number",), [(number, subject, over)])


async def read_revocations(view: Reader, after: int, at: int) -> list[tuple[int, str]]:
    """Those above a number that still matter at an instant."""
    rows = await view.fetch(
        "SELECT number, subject FROM revocation WHERE number > :after AND over > :at ORDER BY number",
        after=after,
        at=at,
    )
    return [(row[0], row[1]) for row in rows]


async def forget_revocations(tx: Tx, at: int) -> None:
    """Forget those that matter no more, but for the last one, by whose number the next one is counted."""
    await tx.execute("DELETE FROM revocation WHERE over < :at AND number < (SELECT MAX(number) FROM revocation)", at=at)
