from collections.abc import Awaitable, Callable, Iterable, Sequence

from services.collector.resolve.answer import Answer

Ask = Callable[[Sequence[tuple[str, str]]], Awaitable[Sequence[Answer]]]


class Wildcards:
    """What the wildcards of a scan answer, learnt level by level; a level is (parent name, record type).

    ``ask`` puts (name, type) pairs, in any order of answers; the collector gives one that goes through its journal.
    Probe names are a hash of ``salt`` and the level, so that a replay asks the same ones.
    """

    def __init__(self, ask: Ask, salt: bytes) -> None:
        self._ask = ask
        self._salt = salt

    async def learn(self, answers: Iterable[Answer]) -> None:
        """Probe the levels of the answers that found something and are not known yet, all in a few rounds."""
        raise NotImplementedError

    def is_member(self, name: str, answer: Answer) -> bool:
        """Whether ``answer`` is what the closest wildcard above ``name`` gives; its level must have been learnt."""
        raise NotImplementedError

    def is_unknown(self, name: str, type: str = "A") -> bool:
        """Whether the probes of the level of ``name`` got no answer, so that nothing can be said."""
        raise NotImplementedError
