"""YAML as rules are written in: one mapping of plain values, from a text that anybody may have sent."""

from typing import Any, Final

from services.kernel.errors import Invalid

MAX_BYTES: Final = 64 * 1024
#: Blocks inside blocks.
MAX_DEPTH: Final = 16
MAX_NUMBER: Final = 64


def load_document(text: str) -> dict[str, Any]:
    """The mapping that a text is.

    Raises:
        Invalid: with line and column: the text is no YAML or no mapping, larger than 64 kB, deeper than 16 blocks, or
            has an anchor, an alias, a tag, a second document, a key twice or one that is no text.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Invalid(f"a rule has at most {MAX_BYTES // 1024} kB")
    import yaml

    form: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_structure(yaml.parse(text, form))
        loader = form(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise Invalid(f"{_place(node and node.start_mark)}: a rule is a mapping of keys to values")
        _check_nodes(node)
        found: dict[str, Any] = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        said = " ".join(str(error.problem or error.context or "this is no YAML").split())[:200]
        raise Invalid(f"{_place(error.problem_mark or error.context_mark)}: {said}") from error
    except yaml.reader.ReaderError as error:
        raise Invalid(f"{_place_of(text, error.position)}: a character that YAML does not have") from error
    except (ValueError, OverflowError) as error:
        # A day that the calendar lacks, a lone surrogate.
        raise Invalid(f"a value is none of its kind: {str(error)[:200]}") from error
    return found


def _check_structure(events: Any) -> None:
    """Refuse what makes a small text large, before anything is made of it."""
    from yaml import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, NodeEvent, ScalarEvent

    depth = documents = 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Invalid(f"{_place(event.start_mark)}: a rule is one document")
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            raise Invalid(f"{_place(event.start_mark)}: a rule has no anchors (&name) and no aliases (*name)")
        if isinstance(event, CollectionStartEvent | ScalarEvent) and event.tag is not None and event.tag != "!":
            raise Invalid(f"{_place(event.start_mark)}: a rule has no tags (!name)")
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise Invalid(f"{_place(event.start_mark)}: deeper than {MAX_DEPTH} blocks")
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _check_nodes(node: Any) -> None:
    """Refuse keys that are there twice, no text, or ``<<``, and endless numbers, in a node and all below it."""
    from yaml import MappingNode, ScalarNode, SequenceNode

    if isinstance(node, ScalarNode) and node.tag != "tag:yaml.org,2002:str" and len(node.value) > MAX_NUMBER:
        raise Invalid(f"{_place(node.start_mark)}: a number has at most {MAX_NUMBER} characters")
    if isinstance(node, SequenceNode):
        for each in node.value:
            _check_nodes(each)
    if not isinstance(node, MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.tag != "tag:yaml.org,2002:str":
            raise Invalid(f"{_place(key.start_mark)}: a key is a text")
        if key.value in seen:
            raise Invalid(f"{_place(key.start_mark)}: the key {key.value[:60]!r} is there twice")
        seen.add(key.value)
        _check_nodes(value)


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1, column 1"


def _place_of(text: str, position: int) -> str:
    before = text[: max(position, 0)]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
