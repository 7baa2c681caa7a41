"""The envelope: derived ids, subjects, limits, and decoding that forgives what is newer and nothing else."""

import time
import uuid
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from services.kernel.errors import Invalid
from services.kernel.messages import (
    BUNDLE_BYTES,
    BUNDLE_MESSAGES,
    EVERYWHERE,
    MAX_BYTES,
    NAMESPACE,
    Envelope,
    bundle,
    derive,
    envelop,
    message_type,
    now,
    open_bundle,
    open_envelope,
    workspace_id,
)

SPACE = UUID("0f7a3c1e-1111-4222-8333-444455556666")


class Sung(Struct, frozen=True, tag="mirage.evt.choir.sung.v1"):
    verse: int
    words: str = ""


class Hum(Struct, frozen=True):
    tone: int


def sung(data: bytes) -> Envelope:
    return Envelope(id=SPACE, type="mirage.evt.choir.sung.v1", source="choir", workspace=SPACE, time=0, data=data)


def enveloped(message: Struct, **options: str) -> Envelope:
    return envelop(message, source="choir", workspace=SPACE, id=derive(SPACE, "1"), **options)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_derived_id_is_the_uuid5_of_its_name(name: str) -> None:
    assert derive(SPACE, name) == uuid.uuid5(SPACE, name)


def test_a_workspace_has_the_same_id_wherever_its_name_is_said() -> None:
    """Golden: data folders and backups carry it."""
    assert workspace_id("default") == UUID("e37ef388-a097-5f85-b17e-c12ee62dd378")
    assert workspace_id("demo") != workspace_id("default") != EVERYWHERE


def test_a_name_that_is_no_text_names_no_workspace() -> None:
    with pytest.raises(Invalid, match="no text"):
        workspace_id(b"\xff".decode("utf-8", "surrogateescape"))


def test_a_message_comes_out_as_it_went_in() -> None:
    envelope = enveloped(Sung(3, "la"))
    assert (envelope.type, envelope.source, envelope.workspace) == ("mirage.evt.choir.sung.v1", "choir", SPACE)
    assert open_envelope(envelope, Sung) == Sung(3, "la")


# Bundles


def bundled(*verses: Sung) -> list[Envelope]:
    return list(bundle({str(sung.verse): sung for sung in verses}, source="choir", workspace=SPACE, at=5))


def test_the_messages_of_a_bundle_come_out_in_their_order() -> None:
    [envelope] = bundled(Sung(2, "la"), Sung(1), Sung(3))
    assert (envelope.type, envelope.bundled) == ("mirage.evt.choir.sung.v1", True)
    assert open_bundle(envelope, Sung) == [Sung(2, "la"), Sung(1), Sung(3)]


def test_a_bundle_of_one_is_the_message_as_it_travels_alone() -> None:
    [envelope] = bundled(Sung(1, "la"))
    assert (envelope.data, envelope.bundled) == (enveloped(Sung(1, "la")).data, False)
    assert open_bundle(envelope, Sung) == [open_envelope(envelope, Sung)] == [Sung(1, "la")]
    assert envelope.id == derive(NAMESPACE, f"mirage.evt.choir.sung.v1|{SPACE.hex}|1")


def test_bundles_of_the_same_messages_are_the_same_message() -> None:
    assert bundled(Sung(1), Sung(2))[0].id == bundled(Sung(1), Sung(2))[0].id
    assert len({bundled(*map(Sung, verses))[0].id for verses in ([1], [1, 2], [2, 1], [1, 2, 3])}) == 4


def test_a_bundle_is_bounded_in_bytes_and_in_messages() -> None:
    many = bundled(*map(Sung, range(BUNDLE_MESSAGES * 2 + 1)))
    assert [len(open_bundle(each, Sung)) for each in many] == [BUNDLE_MESSAGES, BUNDLE_MESSAGES, 1]
    large = bundled(*(Sung(verse, "la" * (BUNDLE_BYTES // 6)) for verse in range(5)))
    assert [len(open_bundle(each, Sung)) for each in large] == [2, 2, 1]


def test_a_bundle_is_no_single_message() -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        open_envelope(bundled(Sung(1), Sung(2))[0], Sung)


def test_time_is_in_microseconds_and_can_be_given() -> None:
    assert abs(now() - time.time() * 1_000_000) < 60_000_000
    assert envelop(Sung(1), source="choir", workspace=SPACE, id=SPACE, at=5).time == 5


def test_a_subject_goes_from_the_broad_to_the_narrow() -> None:
    assert enveloped(Sung(1)).subject == f"mirage.evt.choir.sung.v1.{SPACE.hex}"
    assert enveloped(Sung(1), filter="passive").subject == f"mirage.evt.choir.sung.v1.passive.{SPACE.hex}"


@pytest.mark.parametrize("token", ["a.b", "*", ">", " ", "a b", "A", "é", "a\n"])
def test_a_filter_is_one_token(token: str) -> None:
    with pytest.raises(Invalid, match="no token of a subject"):
        enveloped(Sung(1), filter=token)


def test_a_message_has_a_largest_size() -> None:
    spare = MAX_BYTES - len(enveloped(Sung(1)).data) - len(',"words":""')
    whole = enveloped(Sung(1, "w" * (spare - 20)))
    assert len(whole.data) <= MAX_BYTES
    with pytest.raises(Invalid, match=r"mirage\.evt\.choir\.sung\.v1 of \d+ bytes is larger"):
        enveloped(Sung(1, "w" * MAX_BYTES))


def test_what_has_no_tag_is_no_message() -> None:
    with pytest.raises(TypeError, match="Hum has no tag"):
        message_type(Hum)


def test_a_field_of_a_newer_sender_is_skipped() -> None:
    data = b'{"type":"mirage.evt.choir.sung.v1","verse":1,"key":{"a":[1]}}'
    assert open_envelope(sung(data), Sung) == Sung(1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"mirage.evt.choir.sung.v1"}',
        b'{"type":"mirage.evt.choir.sung.v1","verse":"1"}',
        b'{"type":"mirage.evt.choir.hushed.v1","verse":1}',
        b'{"type":"mirage.evt.choir.sung.v1","verse":1,"words":"\xff"}',
        b'{"type":"mirage.evt.choir.sung.v1","verse":1,"deep":' + b"[" * 100_000,
    ],
    ids=["empty", "cut", "no object", "field missing", "wrong type", "other message", "no UTF-8", "deep"],
)
def test_what_cannot_be_read_is_invalid(data: bytes) -> None:
    with pytest.raises(Invalid, match=r"a mirage\.evt\.choir\.sung\.v1 that cannot be read"):
        open_envelope(sung(data), Sung)
