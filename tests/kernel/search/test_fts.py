"""What only the trigram index does: bound what a query looks at, and still show the best."""

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.search import Indexed, fts
from services.kernel.search.fts import FtsSearch
from services.kernel.search.words import fold, terms

A = uuid.UUID(int=1)


def indexed(number: int, text: str, **fields: str) -> Indexed:
    return Indexed(id=number.to_bytes(16, "big"), text=text, fields=fields)


@pytest.fixture
async def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FtsSearch:
    monkeypatch.setattr(fts, "COUNTED", 50)
    monkeypatch.setattr(fts, "LOOKED_AT", 250)
    opened = FtsSearch(tmp_path / "search.db")
    await opened.declare("entities", ["type"])
    await opened.put(A, "entities", [indexed(n, f"h{n}.a.example.org", type="hostname") for n in range(300)])
    await opened.put(
        A, "entities", [indexed(1000, "example.org", type="domain"), indexed(1001, "example.org.uk", type="domain")]
    )
    return opened


async def test_the_text_itself_is_first_among_more_than_are_counted(search: FtsSearch) -> None:
    found = await search.find(A, "entities", "example.org", facets=["type"], limit=10)
    assert int.from_bytes(found.ids[0], "big") == 1000
    assert found.total == 51
    assert found.facets["type"] == {"hostname": 50, "domain": 1}
    await search.close()


async def test_few_documents_behind_a_filter_are_found_under_a_common_word(search: FtsSearch) -> None:
    found = await search.find(A, "entities", "example", where={"type": "domain"})
    assert found.total == 2
    found = await search.find(A, "entities", "", where={"type": "hostname"})
    assert found.total == 50
    await search.close()


async def test_the_index_agrees_with_its_documents(search: FtsSearch) -> None:
    for turn in range(3):
        await search.put(A, "entities", [indexed(n, f"turn{turn} h{n}", type="x") for n in range(0, 300, 3)])
        await search.delete(A, "entities", [n.to_bytes(16, "big") for n in range(turn * 10, turn * 10 + 10)])
    await search._file.write(
        lambda connection: connection.execute("INSERT INTO fts_1 (fts_1, rank) VALUES ('integrity-check', 1)")
    )
    await search.close()


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=60))
def test_a_text_has_all_the_terms_of_itself(text: str) -> None:
    assert all(term in fold(text) for term in terms(text))
