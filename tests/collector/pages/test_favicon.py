import base64

import pytest

from services.collector.pages.favicon import favicon_hash, is_image, murmur3_32


@pytest.mark.parametrize(
    ("data", "hash"),
    [
        (b"", 0),
        (b"foo", -156908512),
        (b"hello", 613153351),
        (b"The quick brown fox jumps over the lazy dog", 0x2E4FF723),
        (b"test", -1167338989),
        (b"Hello, world!", 0xC0363E43 - 2**32),
    ],
)
def test_murmur3_gives_the_published_values(data: bytes, hash: int) -> None:
    assert murmur3_32(data) == hash


def test_an_icon_is_hashed_in_base64_with_lines() -> None:
    icon = bytes(range(200))
    lines = base64.b64encode(icon).decode()
    wrapped = "".join(lines[at : at + 76] + "\n" for at in range(0, len(lines), 76)).encode()
    assert favicon_hash(icon) == murmur3_32(wrapped)


def test_an_error_page_is_no_icon() -> None:
    assert is_image(b"\x00\x00\x01\x00\x01\x00")
    assert is_image(b"\x89PNG\r\n")
    assert is_image(b"<svg xmlns='x'>")
    assert not is_image(b"<!doctype html><svg>")
    assert not is_image(b"")
