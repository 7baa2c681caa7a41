"""The root over the evidence of a scan: what it is, and that a million digests need little memory."""

import hashlib
import tracemalloc
from collections.abc import Iterable, Iterator
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.evidence import Digests, EvidenceRecord, merkle_root, record_digest, seal


def digests_to(count: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(count)]


def collected(digests: Iterable[bytes]) -> Digests:
    found = Digests()
    for digest in digests:
        found.add(digest)
    return found


def root_by_levels(digests: Iterable[bytes]) -> bytes:
    """The definition: pairs of a level make the next one, and an odd one out moves up unchanged."""
    level = [hashlib.sha256(b"\x00" + digest).digest() for digest in sorted(set(digests))]
    while len(level) > 1:
        pairs = [level[place : place + 2] for place in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\x01" + b"".join(pair)).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else bytes(32)


@pytest.mark.parametrize(
    ("count", "root"),
    [
        (0, "0000000000000000000000000000000000000000000000000000000000000000"),
        (1, "13a77175e35eb1d9da91ee14df0d7772cea71289800206e2b45c882ecb06efbf"),
        (2, "bbb441530bdded54e6e2bfcdc829819ff39b30768eb9f023071dffc16b410f10"),
        (3, "8be871f13785b4c81a1700459c76ac2b3ae2caebb7876c376e223c6adff98c47"),
        (6, "e4c1274616bf30e5f756f0d06a0b0371466fb6b100fd507569caffd51b432c32"),
        (7, "89c4dd23822e24c459e941d5186effdd7fd6c270e8c20427d233bc9721ae3782"),
        (8, "540a3cc3596bd0729e3a17ab2cc994c5e008c084a4ca5009e0fec82fb25b0b8e"),
        (1000, "7f7c6cef4d6e715f3585354bc545a6d743cd0b48a8551d22b70de61b0b2074a3"),
    ],
)
def test_the_root_of_the_same_evidence_never_changes(count: int, root: str) -> None:
    digests = digests_to(count)
    Random(count).shuffle(digests)
    assert merkle_root(collected(digests)).hex() == merkle_root(sorted(digests)).hex() == root


@given(st.lists(st.binary(min_size=32, max_size=32) | st.sampled_from(digests_to(9)), max_size=70))
def test_the_root_is_that_of_the_levels_whatever_the_order_and_the_repetitions(digests: list[bytes]) -> None:
    assert merkle_root(collected(digests)) == root_by_levels(digests)


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.data())
def test_one_record_more_or_less_or_another_one_is_another_root(digests: set[bytes], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(sorted(digests)))
    other = data.draw(st.binary(min_size=32, max_size=32).filter(lambda digest: digest not in digests))
    root = merkle_root(sorted(digests))
    for changed in (digests - {one}, digests | {other}, digests - {one} | {other}):
        assert merkle_root(sorted(changed)) != root


def test_what_a_record_says_is_in_its_id_field_by_field() -> None:
    record = seal(EvidenceRecord(id=b"", protocol="http", request="GET https://example.org/", key=b"k", at=1))
    others = {
        "protocol": "dns",
        "request": "GET https://example.org/b",
        "key": b"l",
        "at": 2,
        "elapsed": 3,
        "egress": "proxy",
        "peer": "192.0.2.1:443",
        "status": "200",
        "head": "HTTP/1.1 200 OK",
        "blob": bytes(32),
        "size": 4,
        "error": "unreachable: no",
        "tls_error": "expired",
        "truncated": True,
    }
    assert {"id", *others} == set(record.__struct_fields__)
    assert record_digest(record) == record.id
    ids = {record_digest(msgspec.structs.replace(record, **{name: value})) for name, value in others.items()}
    assert len(ids - {record.id}) == len(others)


@pytest.mark.parametrize("order", [[1, 0], [0, 0], [0, 2, 1]])
def test_leaves_in_another_order_have_no_root(order: list[int]) -> None:
    digests = sorted(digests_to(3))
    with pytest.raises(ValueError, match="ascending"):
        merkle_root(digests[place] for place in order)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_what_is_no_digest_is_not_kept_as_one(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Digests().add(bytes(size))


def test_many_digests_take_little_more_than_their_bytes() -> None:
    count = 20_000

    def made() -> Iterator[bytes]:
        return (hashlib.sha256(str(number).encode()).digest() for number in range(count))

    tracemalloc.start()
    try:
        merkle_root(collected(made()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 45 * count
