"""Mirage is MIT: nothing that it imports may be under a licence that asks for more than the library itself."""

import re
from email.message import Message
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-fleet.lock", "requirements-test.lock")
#: Licences that ask for no more than the library itself, by their SPDX names, and by what packages call them.
PERMITTED = {
    "0BSD": (),
    "Apache-2.0": ("Apache 2.0", "Apache License", "Apache License, Version 2.0", "Apache Software License"),
    "BSD-2-Clause": ("BSD", "BSD 2-Clause License"),
    "BSD-3-Clause": ("BSD License",),
    "CC0-1.0": (),
    "ISC": (),
    "MIT": ("MIT License",),
    "MIT-0": (),
    "MPL-2.0": ("Mozilla Public License 2.0 (MPL 2.0)",),
    "PSF-2.0": ("Python Software Foundation License", "Python-2.0"),
    "Zlib": (),
}
SPELLINGS = {word.lower() for name, others in PERMITTED.items() for word in (name, *others)}


def locked(lock: str) -> list[str]:
    """The packages that a lock asks of this Python for."""
    lines = re.findall(r"^([a-z0-9][^\\]*?) \\$", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
    asked = [Requirement(line) for line in lines]
    return [each.name for each in asked if each.marker is None or each.marker.evaluate()]


NAMES = sorted({name for lock in LOCKS for name in locked(lock)})


def told(metadata: Message) -> list[str]:
    """What a package says of its licence: the expression alone, or else the first line and each classifier."""
    if expression := metadata.get("License-Expression"):
        return [expression]
    line = (metadata.get("License") or "").strip().partition("\n")[0].strip()
    classifiers = [each.split(" :: ") for each in metadata.get_all("Classifier") or []]
    named = [parts[-1] for parts in classifiers if parts[:2] == ["License", "OSI Approved"] and len(parts) > 2]
    return [each for each in (line, *named) if each]


def permits(licence: str) -> bool:
    """Whether one of the alternatives is permitted in all its parts; what is not known is not."""
    alternatives = licence.split(" OR ")
    return any(all(part.lower() in SPELLINGS for part in each.split(" AND ")) for each in alternatives)


@pytest.mark.parametrize("name", NAMES)
def test_every_dependency_is_under_a_licence_that_is_known_and_permitted(name: str) -> None:
    said = told(distribution(name).metadata)
    assert said, f"{name} says nothing of its licence"
    assert [licence for licence in said if not permits(licence)] == []


@pytest.mark.parametrize("licence", ["MIT", "MIT License", "MIT OR GPL-3.0-only", "Apache-2.0 AND MIT"])
def test_permitted(licence: str) -> None:
    assert permits(licence)


@pytest.mark.parametrize(
    "licence",
    [
        *("", "GPL-3.0-or-later", "GNU Affero General Public License v3", "LGPL-3.0-only", "AGPL-3.0", "Proprietary"),
        *("MIT AND GPL-2.0-only", "UNKNOWN", "see the file LICENSE", "OSI Approved"),
    ],
)
def test_not_permitted(licence: str) -> None:
    assert not permits(licence)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"License-Expression": "GPL-3.0-only", "Classifier": "License :: OSI Approved :: MIT License"},
            ["GPL-3.0-only"],
        ),
        ({"License": "MIT License\n\nCopyright (c) 2022"}, ["MIT License"]),
        ({"License": "MIT", "Classifier": "License :: OSI Approved :: GNU GPL"}, ["MIT", "GNU GPL"]),
        ({"Classifier": "License :: DFSG approved"}, []),
        ({"Name": "silent"}, []),
    ],
)
def test_what_a_package_says_is_read_where_it_says_it(fields: dict[str, str], said: list[str]) -> None:
    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert told(metadata) == said
