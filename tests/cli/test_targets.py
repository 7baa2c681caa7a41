"""What is taken from the arguments of a scan, and what is not."""

from pathlib import Path

import pytest

from services.cli.targets import read_targets, without_credentials


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


def test_what_nmap_leaves_unsaid_is_no_target(tmp_path: Path) -> None:
    file = tmp_path / "scan.xml"
    file.write_text(
        '<?xml version="1.0"?><nmaprun><host><address addrtype="ipv4"/><address addr="192.0.2.1" addrtype="ipv4"/>'
        '<hostnames><hostname/><hostname name=""/><hostname name="www.example.org"/></hostnames></host></nmaprun>'
    )
    assert read_targets([str(file)], None)[0] == ("192.0.2.1", "www.example.org")
