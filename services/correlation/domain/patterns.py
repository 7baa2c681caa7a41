"""Regular expressions of rules, tried on what the internet says: whoever wrote either, a try takes linear time.

They mean what those of Python's `re` do when it searches whatever the case. `re` itself tries those that cannot cost
much, on texts that are short. All others are tried by sets of states, of which each is made when it is first met.
Lookarounds, atomic groups and possessive repeats can only be tried by `re`, so that they are refused where they could
cost much, and look at the beginning of a text; references to groups are refused.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from services.kernel.errors import Invalid

MAX_PATTERN: Final = 1_000
#: Of longer texts `re` is not trusted to be fast.
MAX_PLAIN: Final = 2_000
#: Choices (``?`` and ``|``) of a pattern that `re` tries; each may double what it costs.
MAX_CHOICES: Final = 6
MAX_STATES: Final = 5_000
_MAX_KEPT: Final = 2_000

Matches = Callable[[str], bool]


def compile_pattern(text: str, *, whatever_case: bool = True) -> Matches:
    """Says whether a text has a match of a pattern somewhere.

    Raises:
        Invalid: it is none, or one that cannot be tried in linear time.
    """
    if len(text) > MAX_PATTERN:
        raise Invalid(f"a pattern has at most {MAX_PATTERN:,} characters")
    import warnings

    flags = re.IGNORECASE if whatever_case else re.NOFLAG
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parser.parse(text, flags)
            plain = re.compile(_without_ends(text), flags).search
    except (re.error, RecursionError, OverflowError) as error:
        raise Invalid(f"{text[:80]!r} is no regular expression: {error}") from error
    cost = _Cost()
    cost.add(tree, inside=False)
    if cost.refers:
        raise Invalid(f"{text[:80]!r}: a pattern does not refer to its groups")
    if cost.is_irregular:
        if not cost.is_low:
            raise Invalid(
                f"{text[:80]!r}: with a lookaround, an atomic group or ++ a pattern repeats one thing at most"
            )
        return lambda value: plain(value[:MAX_PLAIN]) is not None
    states = _States(tree, text)
    if not cost.is_low:
        return states.found_in
    return lambda value: plain(value) is not None if len(value) <= MAX_PLAIN else states.found_in(value)


def _without_ends(text: str) -> str:
    """The pattern without ``.*`` at its ends, where a search needs none and pays for it."""
    while text.startswith(".*") and not text[2:].startswith(("*", "+", "?", "{")):
        text = text[2:]
    while text.endswith(".*") and (len(text) - len(text[:-2].rstrip("\\"))) % 2 == 0:
        text = text[:-2]
    return text


# The parser and the compiler of `re` have no public name.
_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001
_compiler: Any = re._compiler  # type: ignore[attr-defined]  # noqa: SLF001
_c: Any = re._constants  # type: ignore[attr-defined]  # noqa: SLF001

_REPEATS: Final = {_c.MAX_REPEAT, _c.MIN_REPEAT}
_LOOKS: Final = {_c.ASSERT, _c.ASSERT_NOT}
_CHARACTERS: Final = {_c.LITERAL, _c.NOT_LITERAL, _c.ANY, _c.IN}
_REFERENCES: Final = {_c.GROUPREF, _c.GROUPREF_EXISTS}


class _Cost:
    """What could make a pattern slow: repeats, choices, and what stands inside a repeat."""

    def __init__(self) -> None:
        self.repeats = 0
        self.choices = 0
        self.is_nested = False
        self.is_irregular = False
        self.refers = False

    @property
    def is_low(self) -> bool:
        return self.repeats <= 1 and self.choices <= MAX_CHOICES and not self.is_nested

    def add(self, tree: Iterable[Any], inside: bool) -> None:
        for op, said in tree:
            if op in _REPEATS or op is _c.POSSESSIVE_REPEAT:
                least, most, body = said
                self.is_irregular |= op is _c.POSSESSIVE_REPEAT
                self.is_nested |= inside
                self.choices += most == 1 != least
                self.repeats += most > 1 and least != most
                self.add(body, inside or most > 1)
            elif op is _c.BRANCH:
                self.is_nested |= inside
                self.choices += len(said[1]) - 1
                for branch in said[1]:
                    self.add(branch, inside)
            elif op is _c.SUBPATTERN:
                self.add(said[3], inside)
            elif op is _c.ATOMIC_GROUP or op in _LOOKS:
                self.is_irregular = True
                self.add(said[1] if op in _LOOKS else said, inside)
            elif op in _REFERENCES:
                self.refers = True


_Flags = tuple[tuple[int, int], ...]
_ACCEPT: Final = 0


class _State:
    """States of the pattern that are reached at one place of a text, and where each character leads from there."""

    __slots__ = ("before", "moves", "places")

    def __init__(self, places: frozenset[int], before: str) -> None:
        self.places = places
        self.before = before
        self.moves: dict[str, _State | None] = {}


class _States:
    """A pattern as states: each has characters that lead on, or ways on that take none.

    The place ``_ACCEPT`` is the end. `None` among the moves of a `_State` says that a match was found.
    """

    def __init__(self, tree: Any, text: str) -> None:
        self._text = text
        self._tests: dict[int, tuple[Callable[[str], object], int]] = {}
        self._characters: dict[str, Callable[[str], object]] = {}
        self._ways: dict[int, list[tuple[Any, int]]] = {}
        self._count = 1
        self._tree = tree
        self._first = self._join(tree, _ACCEPT, ())
        self._known: dict[tuple[frozenset[int], str], _State] = {}

    def found_in(self, value: str) -> bool:
        state = self._state(frozenset((self._first,)), "")
        last = len(value) - 1
        for place, character in enumerate(value):
            symbol = "\n$" if character == "\n" and place == last else character
            try:
                following = state.moves[symbol]
            except KeyError:
                following = self._follow(state, symbol)
            if following is None:
                return True
            state = following
        return self._follow(state, "") is None

    def _state(self, places: frozenset[int], before: str) -> _State:
        known = self._known.get((places, before))
        if known is None:
            if len(self._known) >= _MAX_KEPT:
                self._known.clear()
            known = self._known[places, before] = _State(places, before)
        return known

    def _follow(self, state: _State, symbol: str) -> _State | None:
        """Where a symbol leads from a state: a character, a line's end at the end of the text, or the text's end."""
        reached: set[int] = set()
        waiting = list(state.places)
        while waiting:
            place = waiting.pop()
            if place in reached:
                continue
            reached.add(place)
            waiting += (to for at, to in self._ways.get(place, ()) if at is None or _holds(at, state.before, symbol))
        if _ACCEPT in reached:
            state.moves[symbol] = None
            return None
        character = symbol[:1]
        after = {self._first}
        if character:
            for place in reached:
                test = self._tests.get(place)
                if test is not None and test[0](character):
                    after.add(test[1])
        following = self._state(frozenset(after), _kind(character))
        state.moves[symbol] = following
        return following

    def _new(self) -> int:
        self._count += 1
        if self._count > MAX_STATES:
            raise Invalid(f"{self._text[:80]!r}: a pattern has at most {MAX_STATES:,} steps, counting what it repeats")
        return self._count

    def _join(self, tree: Any, end: int, flags: _Flags) -> int:
        """The place from which a sequence leads to ``end``."""
        for op, said in reversed(list(tree)):
            end = self._step(op, said, end, flags)
        return end

    def _step(self, op: Any, said: Any, end: int, flags: _Flags) -> int:
        if op in _CHARACTERS:
            place = self._new()
            self._tests[place] = (self._character(op, said, flags), end)
            return place
        if op is _c.SUBPATTERN:
            _, added, removed, body = said
            return self._join(body, end, (*flags, (added, removed)))
        place = self._new()
        if op is _c.BRANCH:
            self._ways[place] = [(None, self._join(branch, end, flags)) for branch in said[1]]
        elif op is _c.AT:
            self._ways[place] = [((said, self._effective(flags)), end)]
        elif op in _REPEATS:
            least, most, body = said
            if most is _c.MAXREPEAT:
                again = self._new()
                self._ways[again] = [(None, end), (None, self._join(body, again, flags))]
                end = again
            else:
                done = end
                for _ in range(most - least):
                    optional = self._new()
                    self._ways[optional] = [(None, done), (None, self._join(body, end, flags))]
                    end = optional
            for _ in range(least):
                self._new()
                end = self._join(body, end, flags)
            self._ways[place] = [(None, end)]
        else:
            raise Invalid(f"{self._text[:80]!r}: {str(op).lower()} is nothing that a pattern may have")
        return place

    def _effective(self, flags: _Flags) -> int:
        found: int = self._tree.state.flags
        for added, removed in flags:
            found = (found | added) & ~removed
        return found

    def _character(self, op: Any, said: Any, flags: _Flags) -> Callable[[str], object]:
        """Whether one character is what a step of the pattern takes, as `re` itself sees it."""
        name = repr((op, said, flags))
        known = self._characters.get(name)
        if known is not None:
            return known
        one = _parser.SubPattern(self._tree.state, [(op, said)])
        for added, removed in reversed(flags):
            one = _parser.SubPattern(self._tree.state, [(_c.SUBPATTERN, (None, added, removed, one))])
        self._characters[name] = _compiler.compile(one, self._tree.state.flags & re.IGNORECASE).match
        return self._characters[name]


def _kind(character: str) -> str:
    """What a boundary sees of the character before it; nothing at the beginning of a text."""
    if character in {"", "\n"}:
        return character
    if not _is_word(character, 0):
        return " "
    return "a" if character.isascii() else "é"


def _is_word(character: str, flags: int) -> bool:
    character = character[:1]
    return character == "_" or (character.isalnum() and (character.isascii() or not flags & re.ASCII))


def _holds(at: Any, before: str, symbol: str) -> bool:
    """Whether an anchor or a boundary holds between what was before and what follows."""
    code, flags = at
    by_line = flags & re.MULTILINE
    if code is _c.AT_BEGINNING:
        return not before or bool(by_line and before == "\n")
    if code is _c.AT_BEGINNING_STRING:
        return not before
    if code is _c.AT_END:
        return symbol in {"", "\n$"} or bool(by_line and symbol == "\n")
    if code is _c.AT_END_STRING:
        return not symbol
    if not before and not symbol:
        # In an empty text `re` sees neither a boundary nor none.
        return False
    differs = _is_word(before, flags) != _is_word(symbol, flags)
    return differs if code is _c.AT_BOUNDARY else not differs
