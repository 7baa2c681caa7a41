"""A scan that asks nobody about a target says so, why, and what to say instead."""

from typing import Any

import pytest

from services.cli.untaken import described
from services.contracts.plan import PROFILES
from services.contracts.resources import NewScan
from services.contracts.targets import recognise
from tests.services.scans.desk import module

MODULES = [
    module("crtsh", "passive", "domain", "organization"),
    module("cymru", "passive", "ip_address"),
    module("srv", "dns", "domain", "level"),
    module("takeover", "dns", "alias_of"),
    module("crawl", "active", "url"),
]


PASSIVE = "no source of the profile passive takes"
NAMED = "none of the modules that --module names takes"


@pytest.mark.parametrize(
    ("said", "about", "why", "instead"),
    [
        (
            *({"targets": ("example.org", "www.example.org")}, "www.example.org", f"{PASSIVE} host names"),
            "; try --profile standard or the domain example.org as the target",
        ),
        (
            {"targets": ("https://www.example.org/a", "jo@example.org", "AS64500")},
            *("https://www.example.org/a and 2 other targets", f"{PASSIVE} URLs or e-mail addresses or AS numbers"),
            "; try --profile standard or the domain example.org as the target",
        ),
        (
            *({"targets": ("AS64500",), "profile": "deep"}, "AS64500"),
            *("no source of the profile deep takes AS numbers", ""),
        ),
        (
            *({"targets": ("www.example.org",), "modules": ("crtsh",)}, "www.example.org", f"{NAMED} host names"),
            "; try the domain example.org as the target",
        ),
        (
            *({"targets": ("192.0.2.1",), "modules": ("crtsh",)}, "192.0.2.1", f"{NAMED} IP addresses"),
            "; try it without --module",
        ),
        (
            *({"targets": ("192.0.2.1",), "exclude": ("cymru",)}, "192.0.2.1"),
            *("no source that --exclude leaves takes IP addresses", ""),
        ),
    ],
)
def test_a_target_that_nobody_is_asked_about_is_named_with_the_reason(
    said: dict[str, Any], about: str, why: str, instead: str
) -> None:
    assert sentence(NewScan(**said)) == f"nobody is asked about {about}: {why}{instead}"


@pytest.mark.parametrize("profile", ["standard", "deep"])
def test_nothing_is_said_where_every_target_or_its_host_is_asked_about(profile: str) -> None:
    assert sentence(NewScan(targets=("example.org", "192.0.2.1"))) == ""
    targets = ("www.example.org", "https://www.example.org/a", "https://192.0.2.1/")
    assert sentence(NewScan(targets=targets, profile=profile)) == ""  # type: ignore[arg-type]


def sentence(new: NewScan) -> str:
    planned = {
        each.declared.id
        for each in MODULES
        if each.declared.activity in PROFILES[new.profile]
        and (not new.modules or each.declared.id in new.modules)
        and each.declared.id not in new.exclude
    }
    return described(new, map(recognise, new.targets), planned, MODULES)
