"""A token is told by its form and its checksum, and its digest tells nothing of it."""

import re

from services.kernel.tokens import content_of, digest_of, kind_of, make_token, without_tokens


def test_a_token_is_recognised_by_its_beginning_and_its_checksum() -> None:
    token = make_token("pat")
    assert re.fullmatch(r"mirage_pat_[0-9A-Za-z]{49}", token)
    assert kind_of(token) == "pat"
    assert len({make_token("pat") for _ in range(100)}) == 100


def test_one_that_differs_anywhere_is_none() -> None:
    token = make_token("pat")
    for position in {*range(len(token))} - {7, 8, 9}:  # there stands its kind
        other = "a" if token[position] != "a" else "b"
        assert kind_of(token[:position] + other + token[position + 1 :]) == ""


def test_what_has_another_form_is_none() -> None:
    token = make_token("pat")
    for text in ("", "mirage_pat_", f"mirage_pat_{'0' * 49}", f" {token}", f"{token}\n", f"{token}0", token[:-1]):
        assert kind_of(text) == ""


def test_a_token_may_begin_with_what_its_maker_knows() -> None:
    made = [make_token("ref", b"\0" * 15 + b"\1") for _ in range(2)]
    contents = [content_of(each) for each in made]
    assert [len(each) for each in contents] == [32, 32]
    assert contents[0][:16] == contents[1][:16] == b"\0" * 15 + b"\1"
    assert contents[0] != contents[1]
    assert content_of(make_token("ref", b"\xff" * 16))[:16] == b"\xff" * 16


def test_what_is_kept_of_a_token_is_its_digest() -> None:
    token = make_token("pat")
    assert len(digest_of(token)) == 32
    assert digest_of(token) == digest_of(token) != digest_of(make_token("pat"))


def test_a_token_is_left_out_of_what_is_logged_but_for_its_kind() -> None:
    token = make_token("pat")
    assert without_tokens(f"/v1/tokens/{token}?{token}x") == "/v1/tokens/mirage_pat_***?mirage_pat_***"
    assert without_tokens("/v1/mirage_tokens/pat") == "/v1/mirage_tokens/pat"
