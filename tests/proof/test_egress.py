"""Nothing leaves that was not asked for: the passive profile, what is excluded, and a replay."""

import os
import shutil
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from services.collector.manifest import read_manifests
from tests.proof.moments import look
from tests.proof.processes import DEEP, Lab, Mirage

#: Modules of which one asks each way: HTTP, DNS, WHOIS, TLS; and one whose answers come in turns.
EVERY_WAY = tuple(
    argument
    for module in (
        *("crtsh", "certspotter", "whois", "rdap_domain", "cymru", "dns_records", "mail_setup", "brute"),
        *("permutations", "takeover", "web", "crawl", "well_known", "tls_certificate", "zone_transfer", "nsec_walk"),
    )
    for argument in ("--module", module)
)
#: Targets for those passive modules that a domain has nothing for: a system of the organisation, an address on a chain.
OTHERS = ("AS64500", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")


def without_routes() -> tuple[str, ...]:
    """How to run a command in a network namespace that has not even a loopback interface that is up.

    Where nobody can make one the proof is left out, but not in CI: there it would look like one that holds.
    """
    for command in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    reason = "this machine lets nobody make a network namespace"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize(("in_ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_proof_that_needs_a_namespace_is_left_out_on_a_machine_without_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, in_ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", in_ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception)) as raised:
        without_routes()
    assert raised.type is outcome


def test_a_passive_scan_touches_neither_the_target_nor_its_name_servers(mirage: Mirage, lab: Lab) -> None:
    """Every passive module is asked something, each of the others nothing."""
    asked = set()
    for targets in ((lab.target,), OTHERS, ("--type", "username", "halyard-freight")):
        mirage.output("scan", *targets, "--resolver", lab.resolver, "--quiet", "--profile", "passive")
        asked |= {source["module"] for source in mirage.last()["sources"] if source["state"] == "answered"}
    assert asked == {file.manifest.id for file in read_manifests() if file.manifest.activity == "passive"}
    counts = lab.counts()
    assert counts["touched"] == 0
    assert {server for server, asked in counts["servers"].items() if asked} <= {"resolver"}
    assert len(counts["providers"]) >= 15
    truth = lab.truth()
    known = {name["name"] for name in (*truth["names"], *truth["stale"], *truth["dangling"])}
    assert not {name for name, _ in lab.questions()} & known, "not even the resolver hears of the target's names"


#: The registry sends on to the registrar, whose servers are in the target's network by the address alone.
LED_THERE = ("--profile", "passive", "--module", "rdap_domain", "--module", "whois")


def test_no_registrar_leads_a_passive_scan_to_the_target_by_another_name(mirage: Mirage, lab: Lab) -> None:
    lab.fault("rdap.nic.example", "redirect_elsewhere", location="https://crt.sh/domain/x")
    mirage.scan(*LED_THERE)
    reached = sorted(lab.counts()["addresses"], key=IPv4Address)
    hosts = sorted({host for host, *_ in lab.requests()})
    assert hosts[:1] + hosts[-1:] == ["crt.sh", "whois.quayside-registrar.example"]
    lab.reset()
    theirs = {reached[0], reached[-1]}  # the lab gives addresses to sources in the order of their names
    led = Mirage(mirage.folder.with_name("led"), lab)
    led.scan(*LED_THERE, *(word for there in theirs for word in ("--scope", f"{there}/32")))
    assert set(reached) - set(lab.counts()["addresses"]) == theirs
    assert {source["module"]: source["outcomes"] for source in led.last()["sources"]} == {
        "rdap_domain": {"skipped": 1},
        "whois": {"found": 1},  # the registry has answered, and the registrar was left alone
    }
    assert (led.folder / "mirage.log").read_text().count("which only active modules touch") == len(theirs)


def test_without_an_authorisation_the_resolver_is_asked_and_not_the_target(mirage: Mirage, lab: Lab) -> None:
    modules = ("crtsh", "dns_records", "reverse_dns", "active")
    mirage.scan("--profile", "deep", *(argument for module in modules for argument in ("--module", module)))
    assert lab.touched() == 0
    assert lab.counts()["servers"]["resolver"] > 50


def test_what_is_excluded_is_left_alone_by_every_module(mirage: Mirage, lab: Lab) -> None:
    www = next(name for name in lab.truth()["names"] if name["name"] == f"www.{lab.target}")
    below = f"apps.{lab.target}"
    network = f"{www['addresses'][0]}/32"
    mirage.scan(*DEEP, *EVERY_WAY, "--exclude-scope", f"*.{below}", "--exclude-scope", network)
    assert not [name for name, _ in lab.questions() if name.endswith(f".{below}")]
    assert www["addresses"][0] not in lab.counts()["addresses"]
    assert lab.touched() > 0


def test_a_replay_needs_no_network_and_makes_no_difference(mirage: Mirage, lab: Lab) -> None:
    closed = without_routes()
    mirage.scan(*DEEP, *EVERY_WAY)
    lab.reset()
    replayed = mirage.run("replay", "last", before=closed)
    assert replayed.returncode == 0, replayed.stdout[-2000:] + replayed.stderr[-2000:]
    items, _, rest = replayed.stdout.strip().partition(" items replayed, ")
    assert int(items.replace(",", "")) == look(mirage.folder).done
    assert rest.endswith(" claims, 0 differences")
    verified = mirage.run("evidence", "verify", "last", before=closed)
    assert verified.returncode == 0, verified.stdout
    assert sum(lab.counts()["servers"].values()) == sum(lab.counts()["addresses"].values()) == 0


def test_the_namespace_of_a_replay_has_no_way_out(mirage: Mirage, lab: Lab, tmp_path: Path) -> None:
    """Or the proof above would prove nothing."""
    done = Mirage(tmp_path / "closed", lab).run(
        *mirage.scan_arguments("--module", "crtsh", "--strict"), before=without_routes()
    )
    assert done.returncode == 4
    assert sum(lab.counts()["addresses"].values()) == 0
