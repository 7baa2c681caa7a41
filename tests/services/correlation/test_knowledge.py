"""What is known of versions: right at the bounds, and nothing where a version cannot tell."""

import re

import pytest

from services.correlation.domain.knowledge import known_vulnerabilities
from services.correlation.knowledge import table


def known(name: str, version: str = "") -> set[str]:
    return {each.cve for each in known_vulnerabilities(name, version)}


@pytest.mark.parametrize(
    ("name", "version", "cve"),
    [
        ("openssh", "8.5p1", "CVE-2024-6387"),
        ("OpenSSH", "9.7p1", "CVE-2024-6387"),
        ("openssh", "7.2p1", "CVE-2016-3115"),
        ("openssh", "8.2p1", "CVE-2023-48795"),
        ("apache http server", "2.4.49", "CVE-2021-41773"),
        ("nginx", "1.20.0", "CVE-2021-23017"),
        ("nginx", "1.18", "CVE-2021-23017"),
        ("microsoft exchange", "15.2.986.35", "CVE-2022-41082"),
        ("proftpd", "1.3.5", "CVE-2015-3306"),
        ("openssl", "1.0.1f", "CVE-2014-0160"),
        ("php", "8.2.23", "CVE-2024-8927"),
        ("cpe:2.3:a:openbsd:openssh:9.2p1:*:*:*:*:*:*:*", "", "CVE-2024-6387"),
        ("cpe:2.3:a:apache:http_server:2.4.49:*:*:*:*:*:*:*", "", "CVE-2021-41773"),
    ],
)
def test_a_version_that_has_a_weakness_is_known_to_have_it(name: str, version: str, cve: str) -> None:
    assert cve in known(name, version)


@pytest.mark.parametrize(
    ("name", "version", "cve"),
    [
        ("openssh", "9.8p1", "CVE-2024-6387"),
        ("openssh", "8.4p1", "CVE-2024-6387"),
        ("openssh", "7.2p2", "CVE-2016-3115"),
        ("apache http server", "2.4.48", "CVE-2021-41773"),
        ("apache http server", "2.4.50", "CVE-2021-41773"),
        ("nginx", "1.20.1", "CVE-2021-23017"),
        ("nginx", "1.12.2", "CVE-2017-7529"),
        ("microsoft exchange", "15.2.986.36", "CVE-2022-41082"),
        ("proftpd", "1.3.5a", "CVE-2015-3306"),
        ("openssl", "1.0.1g", "CVE-2014-0160"),
        ("openssl", "1.0.1", "CVE-2024-0000"),
        ("php", "8.2.24", "CVE-2024-8927"),
        ("jenkins", "2.440.1", "CVE-2024-23897"),
    ],
)
def test_the_versions_beside_it_are_not(name: str, version: str, cve: str) -> None:
    assert cve not in known(name, version)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("openssh", "7.4p1 Debian-10+deb9u7"),
        ("openssh", "8.2p1 Ubuntu-4ubuntu0.11"),
        ("apache http server", "2.4.6-97.el7"),
        ("php", "8.1.2-1ubuntu2.14"),
        ("nginx", "1.18.0-6+deb11u3"),
        ("nginx", "1.14.2-r4"),
    ],
)
def test_of_what_a_distribution_keeps_nothing_is_known(name: str, version: str) -> None:
    assert not known(name, version)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("apache http server", "2.4"),
        ("drupal", "8"),
        ("drupal", "10"),
        ("microsoft exchange", "15.2.986"),
        ("nginx", ""),
        ("nginx", "unknown"),
        ("no such product", "1.0"),
        ("cpe:2.3:a:nginx:nginx:*:*:*:*:*:*:*:*", ""),
    ],
)
def test_a_version_that_says_too_little_tells_nothing(name: str, version: str) -> None:
    assert not known(name, version)


def test_the_worst_comes_first() -> None:
    scores = [each.cvss for each in known_vulnerabilities("apache http server", "2.4.49")]
    assert len(scores) > 3
    assert scores == sorted(scores, reverse=True)


def rows() -> list[list[str]]:
    return table("vulnerabilities")


def test_the_table_is_sound_and_in_order() -> None:
    for product, first, mended, cve, cvss, used in rows():
        assert product == product.casefold()
        assert re.fullmatch(r"(\d[\w.]*)?", first)
        assert re.fullmatch(r"\d[\w.]*", mended)
        assert re.fullmatch(r"CVE-\d{4}-\d{4,}", cve)
        assert 0 < float(cvss) <= 10
        assert used in {"", "yes"}
    assert rows() == sorted(rows())
    assert len({tuple(row[:4]) for row in rows()}) == len(rows())


def test_a_weakness_has_one_score_and_one_word_on_its_use() -> None:
    said: dict[str, set[tuple[str, str]]] = {}
    for _, _, _, cve, cvss, used in rows():
        said.setdefault(cve, set()).add((cvss, used))
    assert not {cve: several for cve, several in said.items() if len(several) > 1}


def test_the_table_covers_what_stands_on_the_internet() -> None:
    assert len({row[0] for row in rows()}) >= 40
    assert len({row[3] for row in rows()}) >= 140
