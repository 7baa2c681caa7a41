"""What every `documents` adapter promises."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from services.kernel.documents import Document, Documents
from services.kernel.errors import Invalid, Unavailable
from tests.kernel.conftest import OpenDocuments

A, B = uuid.UUID(int=1), uuid.UUID(int=2)
HOSTILE = ["a b", "a/b", "a.b", "$set", "quote'\"`;--", "grün 東京 🦜", "%_*", "{}", "\n\t\\", "A", "a", "é", "k" * 900]


@pytest.fixture
async def documents(open_documents: OpenDocuments) -> Documents:
    opened = open_documents()
    await opened.declare("things", ["state", "count", "flag"])
    return opened


def document(key: str, **content: Any) -> Document:
    return Document(key, content)


async def found(documents: Documents, workspace: uuid.UUID = A, **how: Any) -> list[str]:
    return [each.key async for some in documents.find(workspace, "things", **how) for each in some]


async def test_a_document_comes_back_as_it_was(documents: Documents) -> None:
    content = {
        "text": "grün 東京 🦜 \u202e\x01\\ '\"",
        "numbers": [0, -1, 2**63 - 1, -(2**63), 0.1, 1e300],
        "nothing": None,
        "flags": [True, False],
        "deep": {"a": {"b": [{"c": []}, {}]}, "": "empty name", "a b": 1, "é": 2},
        "long": "x" * 100_000,
    }
    await documents.insert(A, "things", [Document("k", content)])
    (back,) = await documents.get(A, "things", ["k"])
    assert back == Document("k", content)
    assert [type(number) for number in back.content["numbers"]] == [int] * 4 + [float] * 2
    assert back.content["flags"] == [True, False]


async def test_inserting_keeps_what_is_there_and_replacing_does_not(documents: Documents) -> None:
    await documents.insert(A, "things", [document("k", v=1), document("k", v=2)])
    await documents.insert(A, "things", [document("k", v=3), document("l", v=3)])
    assert await documents.get(A, "things", ["k", "l"]) == [document("k", v=1), document("l", v=3)]
    await documents.replace(A, "things", [document("k", w=4), document("m", v=4), document("m", v=5)])
    assert await documents.get(A, "things", ["k", "m"]) == [document("k", w=4), document("m", v=5)]
    await documents.insert(A, "things", [])
    await documents.replace(A, "things", [])


@pytest.mark.parametrize("key", HOSTILE)
async def test_any_text_is_a_key(documents: Documents, key: str) -> None:
    await documents.insert(A, "things", [document(key, v=1)])
    assert await documents.get(A, "things", [key]) == [document(key, v=1)]
    assert await found(documents, prefix=key) == [key]
    await documents.delete(A, "things", [key])
    assert await documents.get(A, "things", [key]) == []


async def test_get_returns_those_that_there_are_in_the_order_asked(documents: Documents) -> None:
    await documents.insert(A, "things", [document(str(n)) for n in range(1500)])
    asked = ["7", "never", "3", "7", *(str(n) for n in reversed(range(1000, 1500)))]
    back = await documents.get(A, "things", asked)
    assert [each.key for each in back] == ["7", "3", *(str(n) for n in reversed(range(1000, 1500)))]
    assert await documents.get(A, "things", []) == []


async def test_documents_come_in_the_order_of_their_keys_in_lists(documents: Documents) -> None:
    keys = [f"k{n:04}" for n in range(1700)]
    await documents.insert(A, "things", [document(key, state="x", v=key) for key in reversed(keys)])
    lists = [some async for some in documents.find(A, "things")]
    assert len(lists) > 1
    assert all(lists)
    assert [each.content["v"] for some in lists for each in some] == keys
    assert await found(documents, where={"state": "x"}) == keys
    assert await found(documents, where={"state": "x"}, prefix="k01") == [f"k01{n:02}" for n in range(100)]


async def test_keys_are_ordered_by_their_bytes(documents: Documents) -> None:
    await documents.insert(A, "things", [document(key) for key in HOSTILE])
    assert await found(documents) == sorted(HOSTILE, key=str.encode)


async def test_a_prefix_is_taken_literally(documents: Documents) -> None:
    keys = ["a", "a%b", "a_b", "aXb", "a*", "ab", "b", "\U0010ffff", "\U0010ffff1", "\ud7ff1", "é1", "e1"]
    await documents.insert(A, "things", [document(key) for key in keys])
    for prefix in ("a", "a%", "a_", "a*", "\U0010ffff", "\ud7ff", "é", "nothing"):
        wanted = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
        assert await found(documents, prefix=prefix) == wanted


VALUES = {"one": 1, "half": 0.5, "true": True, "false": False, "zero": 0, "text": "1", "null": None, "quote": "it's"}


@pytest.mark.parametrize("name", VALUES)
async def test_fields_are_compared_with_their_type(documents: Documents, name: str) -> None:
    await documents.insert(A, "things", [document(key, state=value) for key, value in VALUES.items()])
    await documents.insert(
        A, "things", [document("missing"), document("list", state=[1]), document("object", state={})]
    )
    expected = {name} | ({"missing"} if name == "null" else set())
    assert set(await found(documents, where={"state": VALUES[name]})) == expected


async def test_long_text_is_compared_as_a_whole(documents: Documents) -> None:
    long = "x" * 5_000
    hashed = f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"
    texts = {"x": long, "y": "x" * 4_999 + "y", "short": "x" * 200, "hash": hashed}
    await documents.insert(A, "things", [document(key, state=text) for key, text in texts.items()])
    for key, text in texts.items():
        assert await found(documents, where={"state": text}) == [key]


async def test_names_of_fields_may_be_anything(documents: Documents) -> None:
    content = {"a\0b": 1, "a.b": 2, "$set": {"$inc": 3}, "": 4, "\t": {"x.y": {}}, "state": "s", "_id": 5}
    await documents.insert(A, "things", [Document("k", content), Document("l", content)])
    await documents.replace(A, "things", [Document("k", content)])
    assert await documents.get(A, "things", ["k", "l"]) == [Document("k", content), Document("l", content)]
    assert await found(documents, where={"state": "s"}) == ["k", "l"]


async def test_contents_may_be_deep(documents: Documents) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": [deep]}
    await documents.insert(A, "things", [Document("k", deep)])
    assert await documents.get(A, "things", ["k"]) == [Document("k", deep)]


async def test_large_documents_come_in_lists_that_memory_can_hold(documents: Documents) -> None:
    keys = [f"k{n}" for n in range(6)]
    for key in keys:
        await documents.insert(A, "things", [document(key, text="x" * 1_500_000)])
    lists = [[each.key for each in some] async for some in documents.find(A, "things")]
    assert len(lists) > 1
    assert [key for some in lists for key in some] == keys


async def test_several_fields_are_compared_together(documents: Documents) -> None:
    await documents.insert(
        A,
        "things",
        [document(f"{state}{count}", state=state, count=count) for state in ("a", "b") for count in range(3)],
    )
    assert await found(documents, where={"state": "a", "count": 2}) == ["a2"]
    assert await found(documents, where={"state": "a", "count": 2}, prefix="b") == []


async def test_a_workspace_has_its_own_documents(documents: Documents) -> None:
    await documents.insert(A, "things", [document("k", state="a")])
    await documents.replace(B, "things", [document("k", state="b")])
    assert await documents.get(A, "things", ["k"]) == [document("k", state="a")]
    assert await found(documents, B, where={"state": "a"}) == []
    await documents.delete(B, "things", ["k"])
    assert await found(documents) == ["k"]
    assert await found(documents, B) == []


async def test_collections_are_apart(documents: Documents) -> None:
    await documents.declare("others", [])
    await documents.insert(A, "things", [document("k")])
    assert await documents.get(A, "others", ["k"]) == []


async def test_declaring_again_keeps_documents_and_may_add_an_index(documents: Documents) -> None:
    await documents.insert(A, "things", [document("k", colour="red")])
    with pytest.raises(Invalid):
        await found(documents, where={"colour": "red"})
    await documents.declare("things", ["colour"])
    assert await found(documents, where={"colour": "red"}) == ["k"]
    assert await found(documents, where={"state": None}) == ["k"]


@pytest.mark.parametrize(
    "content",
    [
        {"bytes": b"bytes"},
        {"object": object()},
        {"nan": float("nan")},
        {"large": 2**63},
        {"deep": [{"large": -(2**63) - 1}]},
        {"surrogate": "\ud800"},
        {"long": "x" * 16_000_000},
        {f"field{n}": n for n in range(1_001)},
    ],
    ids=lambda content: next(iter(content)),
)
async def test_what_json_cannot_say_is_invalid(documents: Documents, content: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await documents.insert(A, "things", [document("fine"), Document("k", content)])
    assert await documents.get(A, "things", ["k"]) == []


async def test_what_was_not_declared_is_invalid(documents: Documents) -> None:
    for call in (
        documents.insert(A, "nowhere", [document("k")]),
        documents.insert(A, "things", [document("")]),
        documents.get(A, "nowhere", ["k"]),
        documents.delete(A, "nowhere", ["k"]),
        documents.declare("Things; DROP", []),
        documents.declare("things", ["a b"]),
        found(documents, where={"v": 1}),
        found(documents, where={"state": [1]}),
    ):
        with pytest.raises(Invalid):
            await call


async def test_many_write_at_once(documents: Documents) -> None:
    await asyncio.gather(
        *(documents.replace(A, "things", [document(f"{n}", v=turn) for n in range(20)]) for turn in range(20))
    )
    kept = await documents.get(A, "things", [str(n) for n in range(20)])
    assert [each.key for each in kept] == [str(n) for n in range(20)]
    assert {each.content["v"] for each in kept} <= set(range(20))


async def test_a_consumer_may_stop_early(documents: Documents) -> None:
    await documents.insert(A, "things", [document(f"{n:04}") for n in range(1200)])
    async for some in documents.find(A, "things"):
        assert some[0].key == "0000"
        break
    await documents.delete(A, "things", [f"{n:04}" for n in range(1200)])
    assert await found(documents) == []


async def test_documents_are_there_after_opening_again(open_documents: OpenDocuments, documents: Documents) -> None:
    await documents.insert(A, "things", [document("k", state="a")])
    await documents.close()
    again = open_documents()
    await again.declare("things", ["state"])
    assert await found(again, where={"state": "a"}) == ["k"]


KILLED = """
import asyncio, uuid
from services.kernel.documents import Document
from services.kernel.documents.mongo import MongoDocuments
from services.kernel.documents.sqlite import SqliteDocuments
from services.kernel.server import Server

async def main():
    documents = OPENED
    await documents.declare("things", ["state"])
    await documents.insert(uuid.UUID(int=1), "things", [Document("k", {"state": "a"})])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_process_keeps_what_it_put(
    open_documents: OpenDocuments, documents_source: str, kill_when_ready: Callable[[str], None]
) -> None:
    await asyncio.to_thread(kill_when_ready, KILLED.replace("OPENED", documents_source))
    again = open_documents()
    await again.declare("things", ["state"])
    assert await found(again, where={"state": "a"}) == ["k"]


async def test_closed_documents_are_unavailable(documents: Documents) -> None:
    await documents.ping()
    await documents.close()
    await documents.close()
    for call in (documents.ping(), documents.insert(A, "things", [document("k")]), documents.get(A, "things", ["k"])):
        with pytest.raises(Unavailable):
            await call
