"""Hostile answers: each has the right outcome, in bounded time and memory, and what the guard refuses is in the log."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.faults import KINDS
from tests.proof.processes import DEEP, Lab, Mirage, ended, started_lab

#: Seconds for a scan in which a source hangs until its time is over, and megabytes: an answer may have up to forty,
#: and is there compressed, decoded and joined.
BOUND_SECONDS = 90
BOUND_MEGABYTES = 320

#: What is wrong with a source, and the outcome of the item that asked it. A source in each row of a round.
SOURCES = (
    (
        ("crtsh", "slow", {"seconds": 1}, "found"),
        ("certspotter", "rate_limited", {"retry_after": 1, "times": 1}, "found"),
        ("hackertarget", "rate_limited", {"retry_after": 3600}, "rate_limited"),
        ("rdap_domain", "hang", {}, "unreachable"),
        ("whois", "hang", {}, "unreachable"),
        ("rapiddns", "server_error", {}, "unreachable"),
        ("urlscan", "unauthorised", {}, "unauthorised"),
        ("wayback", "forbidden", {}, "blocked"),
        ("myssl", "broken_json", {}, "failed"),
        ("subdomaincenter", "empty_body", {}, "failed"),
        ("otx", "truncated_body", {}, "unreachable"),
        ("commoncrawl", "endless_body", {}, "unreachable"),
        ("anubis", "endless_headers", {}, "unreachable"),
    ),
    (
        ("crtsh", "gzip_bomb", {}, "unreachable"),
        ("certspotter", "redirect_loop", {}, "unreachable"),
        ("hackertarget", "redirect_private", {}, "unreachable"),
        ("anubis", "redirect_elsewhere", {"location": "https://elsewhere.example/"}, "unreachable"),
        ("rapiddns", "reset", {}, "unreachable"),
        ("urlscan", "garbage", {}, "unreachable"),
        ("wayback", "tls_expired", {}, "unreachable"),
        ("myssl", "tls_wrong_name", {}, "unreachable"),
        ("subdomaincenter", "tls_self_signed", {}, "unreachable"),
        ("otx", "tls_handshake_failure", {}, "unreachable"),
        ("commoncrawl", "server_error", {"times": 1}, "found"),
        ("rdap_domain", "not_found", {}, "unreachable"),
    ),
    (
        ("crt.sh", "dns_silent", {}, "unreachable"),
        ("api.certspotter.com", "dns_servfail", {}, "unreachable"),
        ("api.hackertarget.com", "dns_refused", {}, "unreachable"),
        ("anubisdb.com", "dns_truncated", {}, "found"),
        ("rapiddns.io", "dns_slow", {"seconds": 0.5}, "found"),
        ("urlscan.io", "dns_wrong_id", {}, "unreachable"),
    ),
)
SOURCE_AT = {
    "crt.sh": "crtsh",
    "api.certspotter.com": "certspotter",
    "api.hackertarget.com": "hackertarget",
    "anubisdb.com": "anubis",
    "rapiddns.io": "rapiddns",
    "urlscan.io": "urlscan",
}
#: What is wrong with a host of the target, and the outcomes of `web`, `tls_certificate` and `dns_records` about it.
#: What a web server says is a finding whatever it says, and a certificate that does not hold is one; where there is no
#: TLS to be had, what the site says without it is kept, and the item tells that this was not all.
HOSTS: tuple[tuple[str, dict[str, Any], str, str, str], ...] = (
    ("slow", {"seconds": 1}, "found", "found", "found"),
    ("rate_limited", {}, "found", "found", "found"),
    ("server_error", {}, "found", "found", "found"),
    ("unauthorised", {}, "found", "found", "found"),
    ("forbidden", {}, "found", "found", "found"),
    ("not_found", {}, "found", "found", "found"),
    ("broken_json", {}, "found", "found", "found"),
    ("empty_body", {}, "found", "found", "found"),
    ("truncated_body", {}, "unreachable", "found", "found"),
    ("endless_body", {}, "found", "found", "found"),
    ("endless_headers", {}, "unreachable", "found", "found"),
    ("gzip_bomb", {}, "found", "found", "found"),
    ("redirect_loop", {}, "found", "found", "found"),
    ("redirect_private", {}, "found", "found", "found"),
    ("redirect_elsewhere", {"location": "https://elsewhere.example/"}, "found", "found", "found"),
    ("reset", {}, "unreachable", "found", "found"),
    ("hang", {}, "unreachable", "found", "found"),
    ("garbage", {}, "unreachable", "found", "found"),
    ("tls_expired", {}, "found", "found", "found"),
    ("tls_wrong_name", {}, "found", "found", "found"),
    ("tls_self_signed", {}, "found", "found", "found"),
    ("tls_handshake_failure", {}, "unreachable", "unreachable", "found"),
    ("dns_silent", {}, "unreachable", "unreachable", "unreachable"),
    ("dns_servfail", {}, "unreachable", "unreachable", "unreachable"),
    ("dns_refused", {}, "unreachable", "unreachable", "unreachable"),
    ("dns_truncated", {}, "found", "found", "found"),
    ("dns_slow", {"seconds": 0.5}, "found", "found", "found"),
    ("dns_wrong_id", {}, "unreachable", "unreachable", "unreachable"),
    ("rebinding", {"location": "10.13.37.1"}, "skipped", "skipped", "found"),
)


def outcomes(folder: Path) -> dict[tuple[str, str], str]:
    """The outcome of each work item of a folder's only scan, by module and value of the subject."""
    with closing(sqlite3.connect(folder / "scans.db")) as scans:
        [(plan,)] = scans.execute("SELECT plan FROM scan")
        modules = [module["id"] for module in json.loads(plan)["modules"]]
        rows = scans.execute("SELECT module, key, outcome FROM item JOIN member ON member.id = item.subject").fetchall()
    return {(modules[module], json.loads(key)[0]): outcome for module, key, outcome in rows}


def watched(*scans: "subprocess.Popen[str]") -> None:
    """Wait for processes to end, and see that they stay within their bounds."""
    deadline = time.monotonic() + BOUND_SECONDS
    while running := [scan for scan in scans if scan.poll() is None]:
        assert time.monotonic() < deadline
        for scan in running:
            try:
                assert psutil.Process(scan.pid).memory_info().rss < BOUND_MEGABYTES * 1_000_000
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.02)
    assert [scan.returncode for scan in scans] == [0] * len(scans)


def only(modules: Iterable[str]) -> tuple[str, ...]:
    return tuple(argument for module in modules for argument in ("--module", module))


def test_the_tables_leave_out_no_fault_that_the_lab_has() -> None:
    assert {kind for faulty in SOURCES for _, kind, *_ in faulty} == set(KINDS) - {"rebinding"}
    assert [kind for kind, *_ in HOSTS] == list(KINDS)


@pytest.mark.timeout(180)
def test_every_fault_of_a_source_has_its_outcome(tmp_path: Path) -> None:
    """All rounds at once, each with a lab of its own: most of the time is spent waiting for what never comes."""
    with ExitStack() as stack:
        scans, scanning = [], []
        for number, faulty in enumerate(SOURCES):
            lab = stack.enter_context(started_lab(tmp_path / f"lab-{number}"))
            for key, kind, options, _ in faulty:
                lab.fault(key, kind, **options)
            scans.append(Mirage(tmp_path / f"data-{number}", lab))
            modules = only(SOURCE_AT.get(key, key) for key, *_ in faulty)
            scanning.append(stack.enter_context(ended(scans[-1].start(*scans[-1].scan_arguments(*modules)))))
        watched(*scanning)
        for mirage, faulty in zip(scans, SOURCES, strict=True):
            assert mirage.lab is not None
            came = outcomes(mirage.folder)
            expected = {(SOURCE_AT.get(key, key), mirage.lab.target): outcome for key, _, _, outcome in faulty}
            assert {item: came[item] for item in expected} == expected
            assert "elsewhere.example" not in mirage.lab.counts()["hosts"]


@pytest.mark.timeout(180)
def test_every_fault_of_a_target_has_its_outcome(tmp_path: Path) -> None:
    modules = ("web", "tls_certificate", "dns_records")
    with started_lab(tmp_path / "lab", hosts=90) as lab:
        names = spotless_names(lab)[: len(HOSTS)]
        for name, (kind, options, *_) in zip(names, HOSTS, strict=True):
            lab.fault(name, kind, **options)
        # Whoever asks first still gets the true address of the name that turns.
        turning = names[list(KINDS).index("rebinding")]
        first = Mirage(tmp_path / "first", lab)
        first.run("scan", turning, "--resolver", lab.resolver, *DEEP, "--module", "dns_records")
        mirage = Mirage(tmp_path / "data", lab)
        scan = ("scan", *names, "--resolver", lab.resolver, "--quiet", *DEEP, *only(modules))
        with ended(mirage.start(*scan)) as scanning:
            watched(scanning)
        assert "elsewhere.example" not in lab.counts()["hosts"]
    came = outcomes(mirage.folder)
    told = {
        kind: tuple(came[module, name] for module in modules) for name, (kind, *_) in zip(names, HOSTS, strict=True)
    }
    assert told == {kind: tuple(expected) for kind, _, *expected in HOSTS}


def spotless_names(lab: Lab) -> list[str]:
    """Hosts of the target with a web site of their own, its certificate, and a single address."""
    return [
        name["name"]
        for name in lab.truth()["names"]
        if name["web"]
        and not name["below_wildcard"]
        and len(name["addresses"]) == 1
        and ":" not in name["addresses"][0]
    ]


def test_every_refusal_of_the_guard_is_in_the_log(mirage: Mirage, lab: Lab) -> None:
    """Names that turn to addresses on the guard's list after they were looked up once."""
    refused = ("10.13.37.1", "127.0.0.1", "169.254.169.254", "100.64.0.9", "192.168.1.1", "0.0.0.0", "240.0.0.1")
    names = spotless_names(lab)[: len(refused)]
    for name, address in zip(names, refused, strict=True):
        lab.fault(name, "rebinding", location=address)
    first = Mirage(mirage.folder.parent / "first", lab)
    first.run("scan", *names, "--resolver", lab.resolver, *DEEP, "--module", "dns_records")
    modules = only(("tls_certificate",))
    done = mirage.run("scan", *names, "--resolver", lab.resolver, *DEEP, *modules, "--log", "info")
    assert done.returncode == 0
    came = outcomes(mirage.folder)
    skipped = [name for name in names if came["tls_certificate", name] == "skipped"]
    assert skipped == names
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    logged = {line["address"] for line in lines if line["event"] == "refused to dial"}
    assert logged == set(refused)
    assert all(line["reason"] and line["port"] for line in lines if line["event"] == "refused to dial")
    assert lab.touched() == 0
