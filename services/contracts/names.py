"""Names of the DNS: the normal form of a host name, and where its registrable part begins.

Host names follow RFC 1123 with the underscores that are found inside labels in practice; international names are
mapped as UTS #46 says (non-transitional) and kept as A-labels. The registrable part is the algorithm of
https://publicsuffix.org/list/ over the ICANN section of the list that the package ``publicsuffixlist`` carries.
"""

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from services.contracts.claims import Malformed

MAX_NAME = 253
MAX_LABEL = 63
_MAX_TEXT = 1024

_plain_host = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*+").fullmatch
_plain_owner = re.compile(r"(?:\*\.)?[a-z0-9_/+-]+(?:\.[a-z0-9_/+-]+)*+").fullmatch
_bad_edge = re.compile(r"(?:^|\.)[-_]|-(?:\.|$)").search
_number = re.compile(r"[0-9_-]+|0x[0-9a-f]*").fullmatch


def host(text: str) -> str:
    """The normal form of a host name of one label or more: lower case, A-labels, no trailing dot.

    Raises `Malformed` for anything else: addresses, wildcards, labels that begin with an underscore, labels over 63
    and names over 253 octets.
    """
    name = text
    if not _plain_host(name):
        name = _ascii(text)
        if not _plain_host(name):
            raise Malformed(f"{shown(text)} is not a host name")
    if "xn--" in name:
        _check_a_labels(name)
    if "-" in name or "_" in name:
        _check_edges(name)
    if len(name) > MAX_LABEL:
        _check_lengths(name)
    last = name[name.rfind(".") + 1 :]
    if last[0] <= "9" and _number(last):
        raise Malformed(f"{shown(text)} is not a host name: its last label has no letter")
    return name


def owner(text: str) -> str:
    """The normal form of the owner of a DNS record: a host name that may begin with ``*.`` and have odd labels.

    Labels may begin with an underscore and hold slashes (RFC 2317) and plus signs. Raises `Malformed`.
    """
    name = text
    if not _plain_owner(name):
        name = _ascii(text)
        if not _plain_owner(name):
            raise Malformed(f"{shown(text)} is not the name of a DNS record")
    if "xn--" in name:
        _check_a_labels(name)
    if len(name) > MAX_LABEL:
        _check_lengths(name)
    return name


def registrable(name: str) -> str:
    """The registrable part of a name in normal form; raises `Malformed` when the name is a public suffix."""
    dot = name.rfind(".")
    if dot < 0:
        raise Malformed(f"{shown(name)} is a public suffix")
    depth = (_rules or _load_rules()).depth.get(name[dot + 1 :], 1)
    if depth == 1:
        return name[name.rfind(".", 0, dot) + 1 :]
    return _registrable_below(name, depth)


def unwildcard(text: str) -> str:
    """The text without leading ``*.`` labels, as certificates and zones write them."""
    text = text.strip()
    while text.startswith("*."):
        text = text[2:]
    return text


def shown(text: str) -> str:
    """A hostile text as it can stand in an error message: quoted, escaped, short."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def _ascii(text: str) -> str:
    """Lower case, without trailing dot and surrounding space, in A-labels; not yet checked."""
    if len(text) > _MAX_TEXT:
        raise Malformed(f"{shown(text)} is too long for a name")
    name = text.strip().lower() if text.isascii() else _to_a_labels(text)
    return name.removesuffix(".")


@lru_cache(maxsize=1024)
def _to_a_labels(text: str) -> str:
    import idna

    try:
        labels = idna.uts46_remap(text.strip(), std3_rules=False).split(".")
    except UnicodeError:
        raise Malformed(f"{shown(text)} holds a character that no host name may") from None
    return ".".join(label if label.isascii() else "xn--" + _punycode(label, text) for label in labels)


def _punycode(label: str, text: str) -> str:
    if len(label) > MAX_LABEL:
        raise Malformed(f"{shown(text)} has a label over {MAX_LABEL} octets")
    return label.encode("punycode").decode("ascii")


def _check_a_labels(name: str) -> None:
    for label in name.split("."):
        if label.startswith("xn--"):
            _check_a_label(label)


@lru_cache(maxsize=1024)
def _check_a_label(label: str) -> None:
    """Raise `Malformed` unless the label decodes to the Unicode label that it is the one encoding of."""
    import idna.core

    if len(label) > MAX_LABEL:
        raise Malformed(f"{shown(label)} is over {MAX_LABEL} octets")
    try:
        plain = label[4:].encode("ascii").decode("punycode")
        if plain.isascii() or plain.startswith("xn--") or idna.uts46_remap(plain, std3_rules=False) != plain:
            raise Malformed(f"{shown(label)} is not the A-label of any name")
        idna.core.check_initial_combiner(plain)
        idna.core.check_bidi(plain)
        joined = all(idna.core.valid_contextj(plain, at) for at, char in enumerate(plain) if char in "\u200c\u200d")
    except (UnicodeError, ValueError, OverflowError):
        raise Malformed(f"{shown(label)} is not the A-label of any name") from None
    if not joined or "." in plain or plain.encode("punycode").decode("ascii") != label[4:]:
        raise Malformed(f"{shown(label)} is not the A-label of any name")


def _check_edges(name: str) -> None:
    if _bad_edge(name):
        raise Malformed(f"{shown(name)} has a label that begins or ends with a character no host name has there")


def _check_lengths(name: str) -> None:
    if len(name) > MAX_NAME:
        raise Malformed(f"{shown(name)} is over {MAX_NAME} octets")
    if max(map(len, name.split("."))) > MAX_LABEL:
        raise Malformed(f"{shown(name)} has a label over {MAX_LABEL} octets")


class _Rules:
    """The ICANN section of the list: rules, parents of wildcards, exceptions, and the longest rule per top level."""

    def __init__(self, lines: list[str]) -> None:
        self.exact: set[str] = set()
        self.wild: set[str] = set()
        self.exceptions: set[str] = set()
        self.depth: dict[str, int] = {}
        for line in lines:
            rule = line if line.isascii() else _rule_in_a_labels(line)
            if rule[0] == "!":
                rule = rule[1:]
                self.exceptions.add(rule)
            elif rule[:2] == "*.":
                self.wild.add(rule[2:])
                self.exact.add(rule[2:])
            else:
                self.exact.add(rule)
            labels = rule.count(".") + 1
            if labels > 1:
                top = rule[rule.rfind(".") + 1 :]
                self.depth[top] = max(labels, self.depth.get(top, 1))


def _registrable_below(name: str, depth: int) -> str:
    """As `registrable`, where the top level has rules of up to ``depth`` labels; the longest that fits prevails."""
    rules = _rules or _load_rules()
    starts: list[int] = []
    dot = len(name)
    while dot > 0 and len(starts) < depth:
        dot = name.rfind(".", 0, dot)
        starts.append(dot + 1)
    for start in reversed(starts):
        suffix = name[start:]
        if suffix in rules.exceptions:
            return suffix
        if suffix in rules.exact or suffix[suffix.find(".") + 1 :] in rules.wild:
            break
    else:
        start = starts[0]
    if start == 0:
        raise Malformed(f"{shown(name)} is a public suffix")
    return name[name.rfind(".", 0, start - 1) + 1 :]


def _rule_in_a_labels(rule: str) -> str:
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii") for label in rule.split(".")
    )


def _list_file() -> Path:
    # The package itself is not imported: its parser takes five times as long as reading the one section.
    spec = find_spec("publicsuffixlist")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package publicsuffixlist is not installed")
    return Path(spec.origin).with_name("public_suffix_list.dat")


def list_version() -> str:
    """The version of the public suffix list by which registrable names are found."""
    with _list_file().open(encoding="utf-8") as lines:
        for _ in range(40):
            line = next(lines, "")
            if line.startswith("// VERSION: "):
                return line.removeprefix("// VERSION: ").strip()
    return "unknown"


_rules: _Rules | None = None


def _load_rules() -> _Rules:
    global _rules  # noqa: PLW0603 - loaded once, at the first question
    text = _list_file().read_text(encoding="utf-8")
    section = text[text.index("// ===BEGIN ICANN DOMAINS===") : text.index("// ===END ICANN DOMAINS===")]
    _rules = _Rules([line.split()[0] for line in section.split("\n") if line and not line.startswith("//")])
    return _rules
