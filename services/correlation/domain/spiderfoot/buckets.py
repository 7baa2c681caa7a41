"""Events as a rule has them in hand: of which collection, with which of their parts, in which bucket."""

from collections.abc import Sequence

from services.correlation.domain.spiderfoot.events import Event
from services.correlation.domain.spiderfoot.rule import Field, Part


class Item:
    """An event of a collection with the entities above it, and when it was aggregated by a part, what is left of it."""

    __slots__ = ("above", "collection", "event", "left", "part")

    def __init__(
        self,
        event: Event,
        collection: int,
        above: Sequence[Event],
        part: Part = "",
        left: Sequence[Event] = (),
    ) -> None:
        self.event = event
        self.collection = collection
        self.above = above
        self.part = part
        self.left = left

    def parts(self, part: Part) -> Sequence[Event]:
        if part == self.part:
            return self.left
        match part:
            case "source":
                return (self.event.source,)
            case "child":
                return self.event.children
            case _:
                return self.above

    def values(self, field: Field) -> Sequence[str]:
        """What a field has; of parts as many as there are."""
        if not field.part:
            return (getattr(self.event, field.name),)
        return [getattr(event, field.name) for event in self.parts(field.part)]

    def stripped(self, field: Field, value: str) -> "Item":
        """Itself with those parts alone that have a value.

        As SpiderFoot does: what follows one that is taken away is passed over, and stays.
        """
        parts = self.parts(field.part)
        if len(parts) > 1:
            left: list[Event] = []
            passed_over = False
            for event in parts:
                fits = getattr(event, field.name) == value
                if fits or passed_over:
                    left.append(event)
                passed_over = not fits and not passed_over
            parts = left
        return Item(self.event, self.collection, self.above, field.part, parts)


Buckets = dict[str, list[Item]]
