"""What only the SQLite adapter of `documents` does: use its indexes."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.kernel.documents import Document
from services.kernel.documents.contents import decode, encode, first_after
from services.kernel.documents.sqlite import SqliteDocuments
from tests.examples import examples

A = UUID(int=1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@examples(30)
@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_every_json_object_is_stored_as_it_is(content: dict[str, Any]) -> None:
    assert decode("k", encode(Document("k", content))).content == content


@given(TEXT, TEXT)
def test_the_text_after_a_prefix_is_after_all_that_begin_with_it(prefix: str, rest: str) -> None:
    after = first_after(prefix)
    assert not after or (prefix + rest).encode() < after.encode()
    assert not after or not after.startswith(prefix)


async def test_queries_use_their_index(tmp_path: Path) -> None:
    documents = SqliteDocuments(tmp_path / "documents.db")
    await documents.declare("things", ["state"])
    await documents.insert(A, "things", [Document(f"{n}", {"state": str(n)}) for n in range(10)])
    conditions, values = documents._conditions("things", {"state": "a"}, "x")
    plan = await documents._file.read(
        lambda connection: connection.execute(
            f"EXPLAIN QUERY PLAN SELECT key FROM c_things WHERE workspace = :w AND key > :s{conditions} ORDER BY key",
            values | {"w": A.bytes, "s": "x"},
        ).fetchall()
    )
    assert "c_things__state (workspace=? AND <expr>=? AND key>? AND key<?)" in json.dumps(plan)
    assert "TEMP B-TREE" not in json.dumps(plan)
    await documents.close()


async def test_a_batch_is_replaced_as_one(tmp_path: Path) -> None:
    documents = SqliteDocuments(tmp_path / "documents.db")
    await documents.declare("things", [])
    keys = [str(n) for n in range(20)]
    await asyncio.gather(
        *(documents.replace(A, "things", [Document(key, {"v": turn}) for key in keys]) for turn in range(20))
    )
    assert len({each.content["v"] for each in await documents.get(A, "things", keys)}) == 1
    await documents.close()
