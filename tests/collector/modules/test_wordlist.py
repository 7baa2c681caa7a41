"""The built-in word list is what `brute` expects."""

import re

from services.collector.modules.brute import spoken
from services.collector.ways import WORDS


class ListContext:
    def __init__(self, *lines: str) -> None:
        self.wordlist = lambda: iter(lines)


def test_the_list_has_5000_different_labels() -> None:
    lines = WORDS.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 5000
    assert all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", line) for line in lines)
    assert list(spoken(ListContext(*lines))) == lines


def test_the_most_promising_come_first() -> None:
    assert {"www", "mail", "api", "dev", "vpn", "test", "portal", "admin"} <= set(WORDS.read_text().split()[:20])


def test_what_is_no_label_is_left_out() -> None:
    words = ["www", "# remark", "", "  Mail # why", "a b", "-x", "x-", "a.b", ".dot.", "ü", "x" * 64, "*.y", "_dmarc"]
    assert list(spoken(ListContext(*words))) == ["www", "mail", "a.b", "dot", "_dmarc"]
