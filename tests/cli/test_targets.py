"""What is taken from the arguments of a scan, and what is not."""

import pytest

from services.cli.targets import without_credentials


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://jo:hunter2@example.org/", "https://example.org/"),
        ("https://jo@example.org/a?b=c@d", "https://example.org/a?b=c@d"),
        ("HTTPS://jo:hun@ter2@example.org", "HTTPS://example.org"),
        (" ftp://jo:hunter2@example.org:21/x", " ftp://example.org:21/x"),
        ("https://jo:hunter2@bad host/", "https://bad host/"),
        ("https://:@example.org", "https://example.org"),
    ],
)
def test_the_user_and_password_of_a_url_go_no_further(given: str, taken: str) -> None:
    targets, said = without_credentials([given])
    assert targets == (taken,)
    assert taken.strip() in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "given", ["https://example.org/@jo", "https://example.org/?to=jo@example.org", "jo@example.org"]
)
def test_an_at_sign_elsewhere_is_left_alone(given: str) -> None:
    assert without_credentials([given]) == ((given,), "")


def test_many_are_said_in_one_line() -> None:
    targets, said = without_credentials(["https://a:b@one.example/", "https://c:d@two.example/", "three.example"])
    assert targets == ("https://one.example/", "https://two.example/", "three.example")
    assert said.startswith("the user name and password in https://one.example/ and 1 other target are left out")
