"""What is taken from the arguments of a scan, and what is not."""

import io
import os
import sys
from pathlib import Path

import pytest

from services.cli.targets import read_targets, without_credentials
from services.kernel.errors import Invalid


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


HOSTS = """\
# Host addresses
127.0.0.1  localhost localhost.localdomain
127.0.1.1\tbuilder
::1        localhost ip6-localhost
ff02::1    ip6-allnodes
fe80::1%lo0 localhost
203.0.113.12 vpn.example   www.vpn.example  # the office
10.1.2.3\tintranet.example printer.local
2001:db8::7\tsix.example.
"""


def written(folder: Path, content: str | bytes, name: str = "targets.txt") -> str:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def test_a_hosts_file_gives_its_names_and_the_addresses_that_are_somebody_s(tmp_path: Path) -> None:
    targets, said = read_targets([written(tmp_path, HOSTS, "hosts")], None)
    assert targets == (
        *("203.0.113.12", "vpn.example", "www.vpn.example", "intranet.example"),
        *("2001:db8::7", "six.example."),
    )
    assert said.startswith("127.0.0.1 and 13 others of a hosts file are left out")


@pytest.mark.parametrize(
    "line",
    [
        "Acme Corp",
        "203.0.113.9 (vpn) is up",
        "Nmap scan report for www.example.org",
        "www.example.org [203.0.113.9] [nginx]",
        "Host: 203.0.113.9 ()\tStatus: Up",
        "open port on 203.0.113.9",
    ],
)
def test_no_line_of_a_file_is_guessed_to_be_an_organisation(tmp_path: Path, line: str) -> None:
    file = written(tmp_path, f"example.org\n\n{line}\n")
    with pytest.raises(Invalid, match=r"targets.txt, line 3: .* is no target by its form; .*--type organization"):
        read_targets([file], None)


def test_a_file_of_organisations_is_read_where_that_is_said(tmp_path: Path) -> None:
    file = written(tmp_path, "Acme Corp\n203.0.113.9 Holding (GB)\n")
    assert read_targets([file], "organization") == (("Acme Corp", "203.0.113.9 Holding (GB)"), "")
    assert read_targets(["Acme Corp"], None) == (("Acme Corp",), "")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("example.org\nnothing\n", "line 2: 'nothing' is no target by its form"),
        ("# hosts\n\n203.0.113.0/99\n", "line 3: "),
        (b"example.org\nm\xfcller.example\n", "line 2: it is not UTF-8"),
        ("example.org\n".encode("utf-16"), "line 1: it is not UTF-8"),
        ("\nhttps://jo:hunter2@bad host/\n", r"line 2: (?!.*hunter2)"),
    ],
)
def test_a_bad_line_is_named_by_its_file_and_number(tmp_path: Path, content: str | bytes, says: str) -> None:
    file = written(tmp_path, content)
    with pytest.raises(Invalid, match=f"^{file}, {says}"):
        read_targets([file], None)


def test_targets_come_through_pipes_and_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one.example\n")
    os.close(writing)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"two.example\nthree.example\n")))
    assert read_targets([f"/dev/fd/{reading}", "-"], None)[0] == ("one.example", "two.example", "three.example")
    os.close(reading)


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    for argument in (str(tmp_path), f"{tmp_path.name}/", tmp_path.name):
        with pytest.raises(Invalid, match="is a directory; name a file with one target a line"):
            read_targets([argument], None)
    (tmp_path / "example.org").mkdir()
    (tmp_path / "jo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read_targets(["example.org", "x" * 300], None)[0] == ("example.org", "x" * 300)
    assert read_targets(["jo"], "username")[0] == ("jo",)
    with pytest.raises(Invalid, match=r"^there is no target in what was given$"):
        read_targets(["/dev/null"], None)
    with pytest.raises(Invalid, match=r"there is no target in what was given: 127.0.0.1 and 1 other of a hosts file"):
        read_targets([written(tmp_path, "127.0.0.1 localhost\n")], None)


def test_a_fault_in_xml_is_placed_once(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        read_targets([written(tmp_path, "<?xml version='1.0'?>\nhosts")], None)
    assert str(refused.value).count("line") == 1
