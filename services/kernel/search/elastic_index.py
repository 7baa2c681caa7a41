"""How documents and questions look in Elasticsearch: nothing here speaks with a server.

A text is indexed as its trigrams, made here (``words.fold`` says of what), each a word of letters and digits that the
standard tokenizer leaves whole: `` mail 01 `` is ``Sma mai ail ilS lS0 S01 01S``. Words that follow each other as a
phrase are then exactly the part of a text that a question asks for, with no analyser that a server might lack.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, Struct
from msgspec.json import Encoder, decode

from services.kernel.errors import Incompatible, Invalid
from services.kernel.search import COUNTED, Indexed
from services.kernel.search.words import fold

#: The number of this layout, in the name of an index and in its mapping.
FORMAT: Final = 1
#: Characters of a folded text that tell whether it is, or begins with, what is asked for.
BEGINNING: Final = 1_000
#: Bytes of one request, unless a single document has more; of larger ones aiohttp warns that they hold up others.
MAX_BULK: Final = 1_000_000
MAX_ID: Final = 256

Json = dict[str, Any]

_encode: Final = Encoder().encode


class Place(Struct, frozen=True, array_like=True):
    """Where a document stands among those that a question finds: how well it fits, its length, its id."""

    tier: Annotated[int, Meta(ge=0, le=4)]
    length: Annotated[int, Meta(ge=0, lt=2**31)]
    key: Annotated[str, Meta(pattern="^([0-9a-f]{2})*$", max_length=2 * MAX_ID)]


class Question(Struct, frozen=True):
    workspace: UUID
    terms: list[str]
    where: Mapping[str, str]
    facets: Sequence[str]
    limit: int
    after: Place | None


def layout(fields: Iterable[str], shards: int) -> Json:
    """Return the settings and the mapping of a new index."""
    keyword: Json = {"type": "keyword", "doc_values": False}
    return {
        "settings": {
            "number_of_shards": shards,
            "auto_expand_replicas": "0-1",
            "analysis": {"analyzer": {"grams": {"type": "custom", "tokenizer": "standard", "filter": []}}},
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": {"format": FORMAT},
            "_routing": {"required": True},
            "_source": {"excludes": ["grams"]},
            "properties": {
                "workspace": keyword,
                "key": {"type": "keyword"},
                "length": {"type": "integer"},
                "beginning": keyword,
                "grams": {"type": "text", "analyzer": "grams", "norms": False},
                "fields": {"type": "object", "properties": fields_of(fields)},
            },
        },
    }


def fields_of(names: Iterable[str]) -> Json:
    return {name: {"type": "keyword"} for name in names}


def known_fields(mapping: Json) -> set[str]:
    """Read the fields of an index from its mapping.

    Raises:
        Incompatible: it has another layout than ours.
    """
    found = mapping.get("_meta", {}).get("format")
    if found != FORMAT:
        raise Incompatible(f"the index has the layout {found}, where this version of Mirage knows {FORMAT}")
    return set(mapping["properties"].get("fields", {}).get("properties", {}))


def grams(text: str) -> str:
    """Return the trigrams of a folded text with a space between them; of fewer than three letters there are none."""
    letters = text.replace(" ", "S")
    if not letters.isascii():
        return " ".join(map("".join, _triples([_letter(each) for each in letters])))
    return " ".join([a + b + c for a, b, c in _triples(letters)])


def _triples(letters: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    return zip(letters, letters[1:], letters[2:], strict=False)


def _letter(letter: str) -> str:
    return letter if letter.isascii() else f"X{ord(letter):x}X"


def name_of(workspace: UUID, id: bytes) -> str:
    """Return the ``_id`` of a document: URL-safe Base64, which Elasticsearch keeps as the bytes that it stands for."""
    if len(id) > MAX_ID:
        raise Invalid(f"an id of a document has at most {MAX_ID} bytes")
    return base64.urlsafe_b64encode(workspace.bytes + id).rstrip(b"=").decode()


def put_pieces(workspace: UUID, documents: Iterable[Indexed]) -> Iterator[list[bytes]]:
    """Yield what indexes ``documents``: operations for ``_bulk``, as many as one request takes."""
    return _pieces(_put(workspace, document) for document in documents)


def delete_pieces(workspace: UUID, ids: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield what forgets documents."""
    routing = workspace.hex
    return _pieces(_encode({"delete": {"_id": name_of(workspace, each), "routing": routing}}) for each in ids)


def _put(workspace: UUID, document: Indexed) -> bytes:
    text = fold(document.text)
    routing = workspace.hex
    action = {"index": {"_id": name_of(workspace, document.id), "routing": routing}}
    source = {
        "workspace": routing,
        "key": document.id.hex(),
        "length": len(text),
        "beginning": text[:BEGINNING],
        "grams": grams(text),
        "fields": document.fields,
    }
    return written(action) + b"\n" + written(source)


def _pieces(operations: Iterable[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for operation in operations:
        if piece and size + len(operation) > MAX_BULK:
            yield piece
            piece, size = [], 0
        piece.append(operation)
        size += len(operation) + 1
    if piece:
        yield piece


def written(value: Any) -> bytes:
    """Return JSON.

    Raises:
        Invalid: a text has no form in UTF-8.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise Invalid("a text has half of a surrogate pair, which no index can hold") from error


def searches(index: str, question: Question) -> list[bytes]:
    """Return two searches for ``_msearch``: one that counts, as far as is promised, and one that brings a page."""
    head = written({"index": index, "routing": question.workspace.hex})
    return [head, written(_count(question)), head, written(_page(question))]


def _count(question: Question) -> Json:
    return {
        "query": {"bool": {"filter": _filters(question)}},
        "size": 0,
        "track_total_hits": True,
        "terminate_after": COUNTED + 1,
        "aggs": {
            name: {"terms": {"field": f"fields.{name}", "size": COUNTED + 1, "execution_hint": "map"}}
            for name in question.facets
        },
    }


def _page(question: Question) -> Json:
    after = question.after
    page: Json = {
        "query": {"bool": {"filter": _filters(question)}},
        "size": question.limit + 1,
        "track_total_hits": False,
        "_source": False,
        "stored_fields": "_none_",
        "sort": [{"key": "asc"}],
    }
    if question.terms:
        page["query"]["bool"]["should"] = _better(question)
        page["sort"] = [{"_score": "desc"}, {"length": "asc"}, {"key": "asc"}]
    if after is not None:
        page["search_after"] = [4 - after.tier, after.length, after.key] if question.terms else [after.key]
    return page


def _filters(question: Question) -> list[Json]:
    return [
        {"term": {"workspace": question.workspace.hex}},
        *({"term": {f"fields.{name}": value}} for name, value in question.where.items()),
        *map(_has, question.terms),
    ]


def _has(part: str) -> Json:
    return {"match_phrase": {"grams": grams(part)}}


def _better(question: Question) -> Json:
    """The whole text, its beginning, whole words, the beginning of words: the score is 4 less the tier."""
    whole = f" {' '.join(term.strip() for term in question.terms)} "
    begun = whole.rstrip()
    tiers = [_has(begun), _has(whole), {"prefix": {"beginning": begun}}, {"term": {"beginning": whole}}]
    if len(whole) >= BEGINNING:
        del tiers[2:]
    return {
        "dis_max": {
            "queries": [{"constant_score": {"filter": tier, "boost": boost}} for boost, tier in enumerate(tiers, 1)]
        }
    }


def place_of(sort: Sequence[Any]) -> Place:
    """Read where a hit stands from the values that it was sorted by."""
    return Place(0, 0, sort[0]) if len(sort) == 1 else Place(4 - int(sort[0]), int(sort[1]), sort[2])


def write_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(_encode(place)).decode()


def read_cursor(cursor: str) -> Place:
    """Read a cursor.

    Raises:
        Invalid: it is none.
    """
    try:
        return decode(base64.urlsafe_b64decode(cursor.encode()), type=Place)
    except ValueError as error:
        raise Invalid("this is no cursor of a search") from error
