"""What is said of who was asked about a name."""

from uuid import UUID

import pytest

from services.cli.unreported import how_it_went
from services.contracts.entities import hostname
from services.contracts.resources import Item

WWW = hostname("www.example.org")


def item(module: str, outcome: str) -> Item:
    return Item(
        id=UUID(int=1), module=module, version=1, subject=WWW, state="done", outcome=outcome, reason="",
        role="in_scope", distance=0, claims=0, requests=1, changed=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "below", "said"),
    [
        (item("brute", "empty"), True, "brute looked for names below it and found none"),
        (item("brute", "unreachable"), True, "no answer: brute could not look below it (unreachable)"),
        (item("crtsh", "empty"), False, "crtsh knows nothing of it"),
        (item("crtsh", "truncated"), False, "crtsh answered only in part"),
        (item("crtsh", "skipped"), False, "not asked: crtsh did not ask"),
        (item("crtsh", "unreachable"), False, "no answer: crtsh could not say (unreachable)"),
    ],
)
def test_who_looked_below_a_name_denies_nothing_of_the_name_itself(asked: Item, below: bool, said: str) -> None:
    assert how_it_went(asked, "", below=below) == said
